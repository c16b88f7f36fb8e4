"""``agent``: the process beside one XMPP server, how it is, and what its site overrides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli import agent_grants
from clearinghouse.cli.options import Demo, Json, Passphrase

EPILOG = """
\b
Examples:
  clearinghouse agent --config /etc/clearinghouse/agent.toml --check
  clearinghouse agent --config /etc/clearinghouse/agent.toml

\b
Signals: TERM and INT end it; HUP asks the sources at once. The server goes on
with what it was told last, until that expires.

\b
Exit status: 0 ended as asked, or all was loaded; 2 the settings cannot be
used, or --check found what is left out; 3 the store cannot be used now.
"""
STATUS = """
\b
Examples:
  clearinghouse agent status --config agent.toml
  clearinghouse agent status --json

\b
Exit status: 0 all is well; 1 it is not, and why is said; 2 the socket is not
for you; 3 the agent does not run.
"""
JOIN = """
\b
Examples:
  clearinghouse agent join --config agent.toml
  clearinghouse agent join --certificate a.example.crt --certificate next.crt
  clearinghouse agent join --endpoint new.a.example:5269

\b
Exit status: 0 done, or waiting for a person of the clearinghouse; 2 refused,
with its reason; 3 the agent does not run, or no source takes it.
"""
OVERRIDE = """
\b
Examples:
  clearinghouse agent override deny b.example --for "2 hours" --reason "flood"
  clearinghouse agent override allow b.example --for "2 hours" --reason "the
    hub is down" --key site-override.key
  clearinghouse agent override list
  clearinghouse agent override withdraw 3f2a91c4

\b
They need neither the network nor a running agent; one that runs applies them
at once. Exit status: 0 done or shown; 2 refused, with its reason.
"""

DEFAULT_CONFIG = Path("agent.toml")
Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="The agent's settings.")]
Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="The other server's domain.")]
Period = Annotated[str, typer.Option("--for", metavar="PERIOD", help='How long, as in "2 hours"; at most 31 days.')]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; the log is told.")]
Keys = Annotated[list[Path], typer.Option("--key", metavar="FILE", help="A key of the site; may be repeated.")]


def group() -> typer.Typer:
    """Return the commands of agents; other modules add theirs."""
    made = typer.Typer(help="Follow tables beside one XMPP server.", rich_markup_mode=None, invoke_without_command=True, epilog=EPILOG)
    made.callback(epilog=EPILOG)(run)
    made.command("status", epilog=STATUS)(status)
    made.command("join", epilog=JOIN)(join)
    override = typer.Typer(help="Shut a domain out, or let it in, for a time.", rich_markup_mode=None, epilog=OVERRIDE)
    for name, command in (("deny", deny), ("allow", allow), ("list", show), ("withdraw", withdraw)):
        override.command(name, epilog=OVERRIDE)(command)
    made.add_typer(override, name="override")
    agent_grants.add(made)
    return made


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group(), name="agent")


def run(
    context: typer.Context,
    config: Config = DEFAULT_CONFIG,
    only_check: Annotated[bool, typer.Option("--check", help="Load everything, say what was left out, and connect nowhere.")] = False,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Follow the community's table beside one XMPP server, until told to end.

    Verifies each table, applies this site's own policy, and has the server's module enforce what follows. The
    module goes on without us until what it was told expires.
    """
    if context.invoked_subcommand is not None:
        return
    from clearinghouse.cli import agent_running  # noqa: PLC0415 - what it needs takes half a second, of which other commands know nothing

    if only_check:
        agent_running.check(config, allow_demo=allow_demo, json=json)
    else:
        agent_running.run(config, allow_demo=allow_demo, json=json)


def status(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Say how the running agent is: its table, its server, its clock, its overrides."""
    from clearinghouse.cli import agent_asking  # noqa: PLC0415 - as above

    agent_asking.status(config, json=json)


def join(
    endpoint: Annotated[
        list[str] | None, typer.Option(metavar="HOST:PORT", help="Where the server takes streams; as `member add`.")
    ] = None,
    contact: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Whom to write to; may be repeated.")] = None,
    certificate: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="A certificate of the server, now or soon.")] = None,
    pin: Annotated[list[str] | None, typer.Option(metavar="HEX", help="A pin, as `clearinghouse pin` prints it.")] = None,
    config: Config = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """Ask the clearinghouse to change our own record, signed by the running agent.

    Without options it is the pins of the certificates that the settings name. What is not
    said stays as it is. Announce a new certificate before the server presents it.
    """
    from clearinghouse.cli import agent_asking  # noqa: PLC0415 - as above

    agent_asking.join(config, (endpoint, contact), (certificate, pin), json=json)


def deny(domain: Domain, held: Period, reason: Reason, config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Shut a domain out for a time, whatever the table and grants say; this needs no key."""
    from clearinghouse.cli import agent_asking  # noqa: PLC0415 - as above

    agent_asking.deny(config, domain, held, reason, json=json)


def allow(  # noqa: PLR0917 - each is an option
    domain: Domain,
    held: Period,
    reason: Reason,
    keys: Keys,
    config: Config = DEFAULT_CONFIG,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Let a domain in for a time, signed with keys that this site's own policy lets do so."""
    from clearinghouse.cli import agent_asking  # noqa: PLC0415 - as above

    agent_asking.allow(config, domain, held, reason, agent_asking.Keys(tuple(keys), passphrase_file, allow_demo), json=json)


def show(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """List the overrides, those of the last 30 days that have ended too."""
    from clearinghouse.cli import agent_asking  # noqa: PLC0415 - as above

    agent_asking.show(config, json=json)


def withdraw(
    override: Annotated[str, typer.Argument(metavar="ID", help="The override's id, or as much of its beginning as no other has.")],
    config: Config = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """End an override before its time."""
    from clearinghouse.cli import agent_asking  # noqa: PLC0415 - as above

    agent_asking.withdraw(config, override, json=json)
