"""Our module for ejabberd (Erlang), and what is needed to put it where that server looks for modules."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from clearinghouse.errors import MissingPackage, OperatorError

MODULE: Final = "mod_clearinghouse"
"""What ejabberd calls it, under ``modules``, and the folder that holds its files."""

ERLANG: Final = Path("/usr/lib/erlang/lib")
"""Where Debian has the libraries whose headers the module includes; ejabberd's own are beside its programs."""

COMPILE_SECONDS: Final = 60
"""Until the compiler has to be done: it takes 2 s."""

_HERE: Final = Path(__file__).parent


def files() -> Iterator[tuple[Path, bytes]]:
    """Yield the sources: the path below the ``sources`` of the contributed modules, and the content."""
    for path in (_HERE / f"{MODULE}.spec", *sorted((_HERE / "src").glob("*.?rl"))):
        yield Path(MODULE, path.relative_to(_HERE)), path.read_bytes()


def installed_files() -> Iterator[tuple[Path, bytes]]:
    """Yield the module as ``ejabberdctl module_install`` leaves it: the path below the contributed modules, and the content.

    Raises `MissingPackage` where ejabberd is not installed.
    """
    yield Path(MODULE, f"{MODULE}.spec"), (_HERE / f"{MODULE}.spec").read_bytes()
    for name, content in _compiled().items():
        yield Path(MODULE, "ebin", name), content


def packaged() -> Path:
    """Return the folder of Debian's ejabberd, with its programs and headers; raises `MissingPackage`."""
    found = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.app"))
    if not found or shutil.which("erlc") is None:
        raise MissingPackage("`ejabberd` is not installed", mend="apt-get install --no-install-recommends ejabberd")
    return found[-1].parents[1]


@cache
def _compiled() -> dict[str, bytes]:
    """Return the compiled files by name; once is enough for all servers that a program starts."""
    server = packaged()
    headers = [server / "include", *ERLANG.glob("p1_xmpp-*/include"), *ERLANG.glob("p1_xml-*/include")]
    with tempfile.TemporaryDirectory() as made:
        command = ["erlc", *(word for folder in headers for word in ("-I", str(folder))), "-pa", str(server / "ebin"), "-o", made]
        sources = [str(path) for path in sorted((_HERE / "src").glob("*.erl"))]
        done = subprocess.run([*command, *sources], capture_output=True, text=True, check=False, timeout=COMPILE_SECONDS)  # noqa: S603
        if done.returncode != 0:
            raise OperatorError(
                "our module for ejabberd does not compile", mend=f"look at what the compiler says:\n{done.stdout}{done.stderr}"
            )
        return {path.name: path.read_bytes() for path in sorted(Path(made).glob("*.beam"))}
