"""``member``, ``fleet`` and ``federation``: who is a member, how their agents are, and what is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Demo, Json, Passphrase
from clearinghouse.cli.people import LOOKED, Keys, Output
from clearinghouse.cli.pinning import pins_of
from clearinghouse.cli.serve import DEFAULT_CONFIG, Config

DONE = """
\b
Exit status: 0 done, or waiting as a draft; 1 you said no; 2 refused, with its
reason; 3 the service does not run, or cannot now.
"""
FLEET = """
\b
Example:
  clearinghouse fleet --json

\b
Exit status: 0 every agent is where it should be; 1 some are not, and are
named; 2 refused, with its reason; 3 the service does not run.
"""


def _page(status: str, *examples: str) -> str:
    return "\n\b\nExamples:\n" + "".join(f"  clearinghouse {each}\n" for each in examples) + status


Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="The member's domain.")]
MaybeDomain = Annotated[str, typer.Argument(metavar="DOMAIN", help="The member's domain; without it, use --from.")]
Draft = Annotated[str, typer.Argument(metavar="DRAFT", help="The draft's id, or as much of its beginning as no other has.")]
Endpoint = Annotated[
    list[str] | None, typer.Option(metavar="HOST:PORT", help="Where its server takes streams; with `:direct` for direct TLS.")
]
Principal = Annotated[list[str] | None, typer.Option(metavar="KEY", help="A key of the member: a principal, or a file that holds it.")]
Agent = Annotated[str | None, typer.Option(metavar="URL", help="The HTTPS address of its agent.")]
Component = Annotated[str | None, typer.Option(metavar="JID", help="The address of its agent over XMPP.")]
Contact = Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Whom to write to; may be repeated.")]
Certificates = Annotated[
    list[Path] | None,
    typer.Option("--certificate", metavar="FILE", help="A certificate of its server, now or soon: its pin is recorded."),
]
Pins = Annotated[
    list[str] | None, typer.Option("--pin", metavar="HEX", help="A pin, as `clearinghouse pin` prints it; `none` takes all away.")
]
Note = Annotated[str | None, typer.Option(metavar="TEXT", help="What the record says besides.")]
Source = Annotated[str | None, typer.Option("--from", metavar="FILE", help="Records of `import`, or signed ones, one a line.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which levels change.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    member = typer.Typer(help="Add, change, remove and list members, and sign their records.", rich_markup_mode=None)
    for command, codes, examples in (
        (
            add,
            DONE,
            (
                "member add b.example --endpoint xmpp.b.example:5269 --principal b.pub",
                "member add b.example --registrar registrar.key -o b.jsonl",
                "member add --from b.jsonl",
            ),
        ),
        (
            change,
            DONE,
            (
                "member change b.example --endpoint new.b.example:5269",
                "member change b.example --principal b.pub --key op.key",
                "member change b.example --certificate now.crt --certificate next.crt",
            ),
        ),
        (remove, DONE, ("member remove b.example --dry-run",)),
        (accept, DONE, ("member accept 3f2a91c4 --dry-run",)),
        (drop, DONE, ("member drop 3f2a91c4",)),
        (renew, DONE, ("member renew",)),
        (list_, LOOKED, ("member list", "member list --json > members.json")),
        (show, LOOKED, ("member show b.example",)),
        (sign, DONE, ("member sign --key registrar.key", "member sign --from members.json --key registrar.key -o signed.jsonl")),
    ):
        member.command(command.__name__.rstrip("_"), epilog=_page(codes, *examples))(command)
    app.add_typer(member, name="member")
    federation = typer.Typer(help="See what is published, and export it.", rich_markup_mode=None)
    federation.command(epilog=_page(LOOKED, "federation status --json"))(status)
    federation.command(epilog=_page(LOOKED, "federation export /media/stick/levels"))(export)
    app.add_typer(federation, name="federation")
    app.command(epilog=FLEET)(fleet)


def add(  # noqa: PLR0913, PLR0917 - each option is a parameter
    domain: MaybeDomain = "",
    endpoint: Endpoint = None,
    principal: Principal = None,
    agent: Agent = None,
    component: Component = None,
    contact: Contact = None,
    note: Note = None,
    certificate: Certificates = None,
    pin: Pins = None,
    source: Source = None,
    registrar: Annotated[
        Path | None, typer.Option("--registrar", metavar="FILE", help="Sign it with the registrar's key, offline; needs -o and no service.")
    ] = None,
    serial: Annotated[int, typer.Option(min=1, metavar="N", help="With --registrar: above the last one that the domain had.")] = 1,
    dry_run: DryRun = False,
    key: Keys = None,
    output: Output = None,
    config: Config = DEFAULT_CONFIG,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Add a member, or all of a file.

    Where the registrar's key is not online, the record waits as a draft for `member sign`.
    """
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    carrier = enrolling.Carrier(config, key or (), output, passphrase_file, allow_demo)
    if source is not None:
        enrolling.take(carrier, source, domain, dry_run=dry_run, json=json)
        return
    words = enrolling.words_of(domain, endpoint, principal, agent, component, contact, note, pins_of(certificate, pin, domain))
    if registrar is not None:
        offline = enrolling.Carrier(config, (registrar,), output, passphrase_file, allow_demo)
        enrolling.write(offline, words, serial, json=json)
        return
    enrolling.enrol("add", carrier, words, dry_run=dry_run, json=json)


def change(  # noqa: PLR0913, PLR0917 - each option is a parameter
    domain: Domain,
    endpoint: Endpoint = None,
    principal: Principal = None,
    agent: Agent = None,
    component: Component = None,
    contact: Contact = None,
    note: Note = None,
    certificate: Certificates = None,
    pin: Pins = None,
    dry_run: DryRun = False,
    key: Keys = None,
    output: Output = None,
    config: Config = DEFAULT_CONFIG,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Change a member's record; what is not named stays.

    Pins are recorded before a certificate with another key is presented: both, then the new one alone.
    """
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    carrier = enrolling.Carrier(config, key or (), output, passphrase_file, allow_demo)
    words = enrolling.words_of(domain, endpoint, principal, agent, component, contact, note, pins_of(certificate, pin, domain))
    enrolling.enrol("change", carrier, words, dry_run=dry_run, json=json)


def remove(  # noqa: PLR0917 - each option is a parameter
    domain: Domain,
    note: Note = None,
    dry_run: DryRun = False,
    key: Keys = None,
    output: Output = None,
    config: Config = DEFAULT_CONFIG,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Remove a member: its record stays, and says that it is none any more."""
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    carrier = enrolling.Carrier(config, key or (), output, passphrase_file, allow_demo)
    words = {"domain": domain} | ({} if note is None else {"note": note})
    enrolling.enrol("remove", carrier, words, dry_run=dry_run, json=json)


def accept(draft: Draft, dry_run: DryRun = False, config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Have a draft signed that a member or a person at a chat client has left."""
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    enrolling.settle("accept", config, draft, dry_run=dry_run, json=json)


def drop(draft: Draft, config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Drop a draft."""
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    enrolling.settle("drop", config, draft, dry_run=False, json=json)


def renew(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Have every record signed anew, as it is, after the registrar's key has changed."""
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    enrolling.renew(config, json=json)


def list_(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """List members with their levels, and drafts that wait."""
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    enrolling.members(config, "", json=json)


def show(domain: Domain, config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Show one member's record."""
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    enrolling.members(config, domain, json=json)


def sign(  # noqa: PLR0917 - each option is a parameter
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The registrar's key.")],
    draft: Annotated[str, typer.Argument(metavar="DRAFT", help="One draft; without it, all that were accepted.")] = "",
    source: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Where no service runs: what `member list --json` or `import` wrote.")
    ] = None,
    output: Output = None,
    config: Config = DEFAULT_CONFIG,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Sign drafts with the registrar's key, and hand them in.

    With -o the records are written to a file instead, for `member add --from` where the service runs.
    """
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    carrier = enrolling.Carrier(config, (key,), output, passphrase_file, allow_demo)
    enrolling.sign(carrier, draft, source, json=json)


def fleet(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Show how each member's agent is, and who is stale."""
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    enrolling.fleet(config, json=json)


def status(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Say what is published, until when, and what keeps the next table from it."""
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    enrolling.published(config, json=json)


def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the documents go, each under its name.")],
    config: Config = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """Write every published document to a directory, as agents fetch them.

    It reads the store, so that no service has to run. Copy the directory as it is: an agent takes it as a
    source of the kind `files`.
    """
    from clearinghouse.cli import enrolling  # noqa: PLC0415 - as in `serve`

    enrolling.export(config, directory, json=json)
