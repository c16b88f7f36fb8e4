"""The commands, put together; errors leave as one message and an exit status, never as a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group
from typing_extensions import override

from clearinghouse import __version__
from clearinghouse.cli.output import Located, Unwritable, clean, fail, say
from clearinghouse.errors import BadSettings, ClearinghouseError

MODULES: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "init": ("init",),
        "serve": ("serve",),
        "agent": ("agent",),
        "server_module": ("server-module",),
        "desk": ("desk",),
        "redirect": ("redirect",),
        "people": ("status", "pending", "approve", "deny", "submit", "grants", "revoke", "lift"),
        "credentials": ("credentials",),
        "records": ("decisions",),
        "logs": ("log",),
        "keys": ("keygen",),
        "signing": ("sign",),
        "checking": ("verify", "lint"),
        "inspecting": ("inspect",),
        "asking": ("query", "explain"),
        "writing": ("fmt",),
        "scenario": ("scenario",),
        "conformance": ("conformance",),
        "importing": ("import",),
        "shadow": ("shadow",),
        "doctor": ("doctor",),
        "whitelist": ("request",),
        "roots": ("root",),
        "tables": ("table",),
        "members": ("fleet", "member", "federation"),
        "levels": ("levels",),
        "pinning": ("pin",),
        "srv": ("srv",),
    }
)
"""Each module of this package that has ``register(app)``, and its commands; only that of the command that is named is imported."""

_MODULE_OF: Final = {command: module for module, commands in MODULES.items() for command in commands}

_INTERRUPTED = 130
"""What shells report of a program that Ctrl-C ended."""


class Commands(TyperGroup):
    """The top of the command line: every error is told in one way, in words or as JSON."""

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(_MODULE_OF)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one command, made when it is first wanted: to make all of them takes a quarter of a second."""
        if cmd_name in _MODULE_OF and cmd_name not in self.commands:
            self.commands.update(get_group(registered(_MODULE_OF[cmd_name])).commands)
        return self.commands.get(cmd_name)

    @override
    def main(  # type: ignore[override]  # the other settings of the parser are ours to choose
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run one command and exit with its status."""
        del prog_name
        words = list(sys.argv[1:] if args is None else args) or ["--help"]
        command = next((word for word in words if not word.startswith("-")), "")
        json_wanted = "--json" in words
        try:
            status = self._status(words, command, extra, json_wanted=json_wanted)
        except Unwritable as problem:
            with suppress(Unwritable):  # there may be nowhere to say it, either
                fail(problem, command=command, json_wanted=False)
            status = problem.exit_code
        sys.exit(status or 0)

    def _status(self, words: list[str], command: str, extra: dict[str, Any], *, json_wanted: bool) -> Any:  # noqa: ANN401 - of the parser
        """Return the status of one command, after its error was told; raises Unwritable where that cannot be."""
        try:
            return super().main(args=words, prog_name="clearinghouse", **(extra | {"standalone_mode": False}))
        except Unwritable:
            raise
        except (ClearinghouseError, Located) as problem:
            return fail(problem, command=command, json_wanted=json_wanted)
        except typer.TyperException as problem:
            context = getattr(problem, "ctx", None)  # of the innermost command that was named, as `log verify`
            about = context.command_path if context else "clearinghouse"
            error = BadSettings(_lowered(problem.format_message()), mend=f"`{about} --help` lists what there is")
            return fail(error, command=command, json_wanted=json_wanted)
        except typer.Abort:
            return _INTERRUPTED
        except OSError as problem:
            return fail(_refused(problem), command=command, json_wanted=json_wanted)


def registered(module: str) -> typer.Typer:
    """Return an application that has the commands of one *module* of this package."""
    made = typer.Typer(rich_markup_mode=None)
    import_module(f"clearinghouse.cli.{module}").register(made)
    return made


def _refused(problem: OSError) -> BadSettings:
    """Return what the operating system refused, with the path where there is one."""
    reason = problem.strerror or str(problem) or type(problem).__name__
    if problem.filename is None:
        return BadSettings(f"the operating system refused it ({reason})", mend="mend that, and try again")
    return BadSettings(f"`{clean(os.fsdecode(problem.filename))}` cannot be used ({reason})", mend="check its name and its mode")


def _lowered(message: str) -> str:
    """Return a message of the option parser in our form: one line, lower case, no final period."""
    line = " ".join(message.replace("Value error, ", "").split())
    return (line[:1].lower() + line[1:]).removesuffix(".")


def _tell_version(*, wanted: bool) -> None:
    if wanted:
        say(f"clearinghouse {__version__}")
        raise typer.Exit


def _top(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=lambda wanted: _tell_version(wanted=wanted), help="Print the version.")
    ] = False,
) -> None:
    """Take the options of no command."""


app = typer.Typer(
    cls=Commands,
    name="clearinghouse",
    help="""
    Decide who may share security incidents over XMPP, by KeyNote assertions (RFC 2704).

    Every command takes files, folders of .kn files, - for standard input, or the text itself; with --json
    it answers with one JSON object. Exit status: 0 the strongest value, or all well; 1 any other value, or
    findings; 2 input that cannot be used; 3 nothing could be said now, try again.
    """,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(help=app.info.help)(_top)


def main() -> None:
    """Run the command line on the arguments of this process."""
    # A process may be started without standard streams; Python then has None.
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w", encoding="utf-8") for stream in (sys.stdout, sys.stderr))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal that knows no check marks
    app()
