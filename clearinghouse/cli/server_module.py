"""``server-module``: our modules for XMPP servers, put where a server looks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

import typer

from clearinghouse.cli.options import Json
from clearinghouse.cli.output import as_json, clean, say
from clearinghouse.enforcers import ejabberd, prosody
from clearinghouse.errors import BadSettings

EPILOG: Final = """
\b
Example:
  clearinghouse server-module prosody \\
    /usr/local/lib/prosody/modules --for federation

\b
Exit status: 0 it is there; 2 other files of that name are, or it cannot be
written.
"""

OPEN: Final = 0o644
"""Everybody may read a program; the server runs as another user than the one who installs it."""

BROKER_LINES: Final = """\
plugin_paths = {{ "{directory}" }}    -- at the top, as the next line
network_settings = {{ nagle = false }}

Component "pubsub.hub.example" "pubsub"
  admins = {{ "clearinghouse.hub.example" }}
  modules_enabled = {{ "pubsub_authorize" }}
  pubsub_max_items = 1000

Component "clearinghouse.hub.example"
  component_secret = "..."
"""

FEDERATION_LINES: Final = """\
plugin_paths = {{ "{directory}" }}    -- at the top, as the next lines
network_settings = {{ nagle = false }}
s2s_secure_auth = true
modules_enabled = {{ "clearinghouse" }}    -- beside those that are there, without "dialback"
clearinghouse_agent = "agent.a.example"
clearinghouse_exempt = {{ "hub.example" }}
clearinghouse_ungoverned = "deny"    -- nothing passes until the agent is there; "allow" while you switch on
-- clearinghouse_doors = {{ ["door.hub.example"] = {{ "64 hex digits, as clearinghouse pin prints them" }} }}

Component "agent.a.example"
  component_secret = "..."
"""

NEXT: Final = "put these lines into prosody.cfg.lua, with your own names and the secret of the settings, and restart Prosody"


class ServerKind(StrEnum):
    """The servers that have modules of ours."""

    PROSODY = "prosody"
    EJABBERD = "ejabberd"


class Purpose(StrEnum):
    """What a server is to the community."""

    BROKER = "broker"
    FEDERATION = "federation"


@dataclass(frozen=True, slots=True)
class Module:
    """What a server needs for one purpose; *lines* has the place ``{directory}``."""

    files: Callable[[], Iterable[tuple[Path, bytes]]]
    lines: str
    next: str


MODULES: Final[Mapping[tuple[ServerKind, Purpose], Module]] = MappingProxyType(
    {
        (ServerKind.PROSODY, Purpose.BROKER): Module(prosody.files, BROKER_LINES, NEXT),
        (ServerKind.PROSODY, Purpose.FEDERATION): Module(partial(prosody.files, prosody.FEDERATION), FEDERATION_LINES, NEXT),
        (ServerKind.EJABBERD, Purpose.FEDERATION): Module(
            ejabberd.files, ejabberd.CONFIGURATION.replace("{", "{{").replace("}", "}}"), ejabberd.NEXT
        ),
    }
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("server-module", epilog=EPILOG)(server_module)


def server_module(
    server: Annotated[ServerKind, typer.Argument(metavar="SERVER", help="`prosody` or `ejabberd`.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder in which it looks for modules.")],
    purpose: Annotated[
        Purpose | None,
        typer.Option("--for", help="`broker` or `federation`; left out: what the server needs first.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace other files of that name.")] = False,
    json: Json = False,
) -> None:
    """Write a module with which a server obeys the clearinghouse.

    A Prosody that is a broker has it rule on subscriptions; a server that federates lets pass what its agent says. As
    a broker ejabberd needs none. What is there already and the same is left alone. An update of the clearinghouse may
    bring a newer module: write it again, with --force.
    """
    module = module_for(server, purpose)
    written = install(directory, module.files(), force=force)
    lines = module.lines.format(directory=directory.absolute().as_posix().replace("\\", "\\\\").replace('"', '\\"'))
    if json:
        as_json("server-module", ok=True, server=server.value, files=[str(each) for each in written], configuration=lines, next=module.next)
        return
    for path in written:
        say(clean(str(path)))
    say(f"then {module.next}:")
    for line in lines.splitlines():
        say(clean(line), indent=2)


def module_for(server: ServerKind, purpose: Purpose | None) -> Module:
    """Return the module of *server* for *purpose*; raises `BadSettings` where it needs none."""
    wanted = [purpose] if purpose is not None else list(Purpose)
    for each in wanted:
        if (server, each) in MODULES:
            return MODULES[server, each]
    raise BadSettings(f"as a {wanted[0]} `{server}` needs no module of ours", mend="leave --for out, or write --for federation")


def install(directory: Path, files: Iterable[tuple[Path, bytes]], *, force: bool = False) -> Sequence[Path]:
    """Write *files* below *directory* and return their paths.

    Raises `BadSettings`, with nothing changed, where a file of that name has another content, unless *force*.
    """
    wanted = [(directory / path, content) for path, content in files]
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
