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

CONFIGURATION: Final = """\
s2s_use_starttls: required
s2s_max_retry_delay: 10
listen:
  - module: ejabberd_service
    port: 5347
    ip: "127.0.0.1"
    global_routes: false
    hosts: {agent.a.example: {password: "..."}}
modules:
  mod_clearinghouse:
    agent: agent.a.example
    exempt: [hub.example]
    ungoverned: deny  # nothing passes until the agent is there; allow while you switch on
    # doors: {door.hub.example: ["..."]}  # who may send streams on: a name, and what `clearinghouse pin` prints of the certificate
"""

NEXT: Final = "put these lines into the sections of ejabberd.yml, with your own names and the agent's secret, and restart ejabberd"

_HERE: Final = Path(__file__).parent


def files() -> Iterator[tuple[Path, bytes]]:
    """Yield the module's files: the path below the folder of contributed modules, and the content.

    They are the sources, for ``ejabberdctl module_install``, and, where Debian's ejabberd is, what that would make of them.
    """
    for path in (_HERE / f"{MODULE}.spec", *sorted((_HERE / "src").glob("*.?rl"))):
        yield Path("sources", MODULE, path.relative_to(_HERE)), path.read_bytes()
    if is_packaged():
        yield from installed_files()


def installed_files() -> Iterator[tuple[Path, bytes]]:
    """Yield the module as ``ejabberdctl module_install`` leaves it; raises `MissingPackage` where ejabberd is not installed."""
    yield Path(MODULE, f"{MODULE}.spec"), (_HERE / f"{MODULE}.spec").read_bytes()
    for name, content in _compiled().items():
        yield Path(MODULE, "ebin", name), content


def is_packaged() -> bool:
    """Whether this machine has Debian's ejabberd, with a compiler."""
    return shutil.which("erlc") is not None and bool(_programs())


def packaged() -> Path:
    """Return the folder of Debian's ejabberd, with its programs and headers; raises `MissingPackage`."""
    if not is_packaged():
        raise MissingPackage("`ejabberd` is not installed", mend="apt-get install --no-install-recommends ejabberd")
    return _programs()[-1].parents[1]


def _programs() -> list[Path]:
    return sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.app"))


@cache
def _compiled() -> dict[str, bytes]:
    """Return the compiled files by name; once is enough for all servers that a program starts."""
    server = packaged()
    headers = [server / "include", *ERLANG.glob("p1_xmpp-*/include"), *ERLANG.glob("p1_xml-*/include")]
    with tempfile.TemporaryDirectory() as made:
        command = [
            "erlc",
            "+deterministic",
            *(word for folder in headers for word in ("-I", str(folder))),
            "-pa",
            str(server / "ebin"),
            "-o",
            made,
        ]
        sources = [str(path) for path in sorted((_HERE / "src").glob("*.erl"))]
        done = subprocess.run([*command, *sources], capture_output=True, text=True, check=False, timeout=COMPILE_SECONDS)  # noqa: S603
        if done.returncode != 0:
            raise OperatorError(
                "our module for ejabberd does not compile", mend=f"look at what the compiler says:\n{done.stdout}{done.stderr}"
            )
        return {path.name: path.read_bytes() for path in sorted(Path(made).glob("*.beam"))}
