"""``server-module``: our module for an XMPP server that needs one, put where that server looks for modules."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from clearinghouse.cli.options import Json
from clearinghouse.cli.output import as_json, clean, say
from clearinghouse.enforcers import prosody
from clearinghouse.errors import BadSettings

EPILOG: Final = """
\b
Example:
  clearinghouse server-module prosody \\
    /usr/local/lib/prosody/modules

\b
Exit status: 0 it is there; 2 other files of that name are, or it cannot be
written.
"""

OPEN: Final = 0o644
"""Everybody may read a program; the server runs as another user than the one who installs it."""

CONFIGURATION: Final = """\
plugin_paths = {{ "{directory}" }}    -- at the top, as the next line
network_settings = {{ nagle = false }}

Component "pubsub.hub.example" "pubsub"
  admins = {{ "clearinghouse.hub.example" }}
  modules_enabled = {{ "pubsub_authorize" }}
  pubsub_max_items = 1000

Component "clearinghouse.hub.example"
  component_secret = "..."
"""

NEXT: Final = "put these lines into prosody.cfg.lua, with your own names and the secret of the settings, and restart Prosody"


class ServerKind(StrEnum):
    """The servers that need a module of ours; ejabberd needs none."""

    PROSODY = "prosody"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("server-module", epilog=EPILOG)(server_module)


def server_module(
    server: Annotated[ServerKind, typer.Argument(metavar="SERVER", help="`prosody`; ejabberd needs none.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder in which it looks for modules (plugin_paths).")],
    force: Annotated[bool, typer.Option("--force", help="Replace other files of that name.")] = False,
    json: Json = False,
) -> None:
    """Write the module with which Prosody lets the clearinghouse rule.

    What is there already and the same is left alone. An update of the
    clearinghouse may bring a newer module: write it again, with --force.
    """
    written = install(directory, force=force)
    lines = CONFIGURATION.format(directory=directory.absolute().as_posix().replace("\\", "\\\\").replace('"', '\\"'))
    if json:
        as_json("server-module", ok=True, server=server.value, files=[str(each) for each in written], configuration=lines, next=NEXT)
        return
    for path in written:
        say(clean(str(path)))
    say(f"then {NEXT}:")
    for line in lines.splitlines():
        say(clean(line), indent=2)


def install(directory: Path, *, force: bool = False) -> Sequence[Path]:
    """Write the module for Prosody below *directory* and return the paths of its files.

    Raises `BadSettings`, with nothing changed, where a file of that name has another content, unless *force*.
    """
    wanted = [(directory / path, content) for path, content in prosody.files()]
    for path, content in wanted:
        if not force and path.exists() and path.read_bytes() != content:
            mend = "look at it; --force replaces it, for an update of this module"
            raise BadSettings(f"`{clean(str(path))}` is there already, and is another file", mend=mend)
    for path, content in wanted:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, content)
    return [path for path, _ in wanted]


def _write(path: Path, content: bytes) -> None:
    """Replace *path* as a whole: a server that loads it in this moment reads the old file or the new one."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=OPEN, exist_ok=False)
    new.write_bytes(content)
    new.chmod(OPEN)
    new.replace(path)
