"""The commands of people: what waits, what is granted, and what they decide about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Demo, Json, Passphrase
from clearinghouse.cli.serve import DEFAULT_CONFIG, Config

STATUS = """
\b
Exit status: 0 done or shown; 1 you said no; 2 refused, with its reason;
3 the service does not run, or cannot now.
"""
LOOKED = """
\b
Exit status: 0 done or shown; 2 refused, with its reason; 3 the service does
not run, or cannot now.
"""

STATUS_PAGE = """
\b
Example:
  clearinghouse status --json

\b
Exit status: 0 all is well; 1 a broker is away, or decisions were lost;
2 the socket is not for you; 3 the service does not run.
"""


def _page(command: str, *examples: str) -> str:
    status = STATUS if command in {"approve", "revoke"} else LOOKED
    return "\n\b\nExamples:\n" + "".join(f"  clearinghouse {each}\n" for each in examples) + status


Case = Annotated[str, typer.Argument(metavar="CASE", help="The case's id, or as much of its beginning as no other has.")]
Keys = Annotated[list[Path] | None, typer.Option("--key", metavar="FILE", help="Sign it with this key; may be repeated.")]
Signers = Annotated[list[Path] | None, typer.Option("--sign-with", metavar="FILE", help="Sign it with this key; may be repeated.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write what is signed there, to hand in elsewhere.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say who would lose or win what.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; people and the log are told.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=STATUS_PAGE)(status)
    for command, examples in (
        (pending, ("pending", "pending --json > cases.json")),
        (
            approve,
            (
                "approve 3f2a91c4",
                'approve 3f2a91c4 --for "30 days" --key ann.key',
                "approve 3f2a91c4 --from cases.json --key ann.key -o yes.json",
            ),
        ),
        (deny, ('deny 3f2a91c4 --reason "not a member any more"',)),
        (submit, ("submit yes.json",)),
        (grants, ("grants", "grants --ended --json")),
        (revoke, ("revoke --grant 77aa0011 --may-ask-again", "revoke --below partner.pub --dry-run")),
        (lift, ("lift", "lift 5e2b8f01")),
    ):
        app.command(epilog=_page(command.__name__, *examples))(command)


def status(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """Say how the running service is."""
    from clearinghouse.cli import deciding  # noqa: PLC0415 - as in `serve`

    deciding.status(config, json=json)


def pending(config: Config = DEFAULT_CONFIG, json: Json = False) -> None:
    """List the requests that wait for a person."""
    from clearinghouse.cli import deciding  # noqa: PLC0415 - as in `serve`

    deciding.pending(config, json=json)


def approve(  # noqa: PLR0913, PLR0917 - each option is a parameter
    case: Case,
    key: Keys = None,
    held: Annotated[str | None, typer.Option("--for", metavar="TIME", help="How long it holds at most, as in `30 days`.")] = None,
    seen: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Where no service runs: what `pending --json` printed.")
    ] = None,
    output: Output = None,
    config: Config = DEFAULT_CONFIG,
    yes: Yes = False,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Approve a request that waits, once you have seen it.

    Where policy wants more people, it goes on waiting for them. With --key your key speaks, else the user
    of this machine that you are.
    """
    from clearinghouse.cli import deciding  # noqa: PLC0415 - as in `serve`

    carrier = deciding.Carrier(config, key or (), output, passphrase_file, allow_demo)
    deciding.approve(carrier, case, deciding.period(held), seen, yes=yes, json=json)


def deny(  # noqa: PLR0917 - each option is a parameter
    case: Case,
    reason: Why = "",
    key: Keys = None,
    output: Output = None,
    config: Config = DEFAULT_CONFIG,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """End a request that waits with a no."""
    from clearinghouse.cli import deciding  # noqa: PLC0415 - as in `serve`

    deciding.deny(deciding.Carrier(config, key or (), output, passphrase_file, allow_demo), case, reason, json=json)


def submit(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What was signed, or - for standard input.")],
    config: Config = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """Hand in what somebody signed elsewhere.

    It speaks for its signers, whoever hands it in; once, and within five minutes.
    """
    from clearinghouse.cli import deciding  # noqa: PLC0415 - as in `serve`

    deciding.submit(config, file, json=json)


def grants(
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over as well.")] = False,
    config: Config = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """List what is granted, and until when."""
    from clearinghouse.cli import deciding  # noqa: PLC0415 - as in `serve`

    deciding.grants(config, ended=ended, json=json)


def revoke(  # noqa: PLR0913, PLR0917 - each option is a parameter
    credential: Annotated[str | None, typer.Option(metavar="ID", help="One credential.")] = None,
    principal: Annotated[str | None, typer.Option("--key", metavar="PRINCIPAL", help="A key: whatever it signs, holds or asks.")] = None,
    below: Annotated[str | None, typer.Option(metavar="PRINCIPAL", help="What a key delegates; it may go on asking itself.")] = None,
    grant: Annotated[str | None, typer.Option(metavar="ID", help="One grant; its holder is barred from the topic.")] = None,
    may_ask_again: Annotated[bool, typer.Option("--may-ask-again", help="Bar nobody.")] = False,
    reason: Why = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    sign_with: Signers = None,
    output: Output = None,
    config: Config = DEFAULT_CONFIG,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Take away a credential, a key or a grant.

    First it says exactly who loses what. What is revoked stays revoked; only the bar on a holder can be
    lifted.
    """
    from clearinghouse.cli import deciding  # noqa: PLC0415 - as in `serve`

    act = deciding.what_to_revoke(credential, principal, below, grant, reason, again=may_ask_again)
    carrier = deciding.Carrier(config, sign_with or (), output, passphrase_file, allow_demo)
    deciding.change("revoke", carrier, act, dry_run=dry_run, yes=yes, json=json)


def lift(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The revocation; without it they are listed.")] = "",
    key: Keys = None,
    output: Output = None,
    config: Config = DEFAULT_CONFIG,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    json: Json = False,
) -> None:
    """Lift the bar on somebody; without an ID, list what is revoked."""
    from clearinghouse.cli import deciding  # noqa: PLC0415 - as in `serve`

    if identity:
        deciding.lift(deciding.Carrier(config, key or (), output, passphrase_file, allow_demo), identity, json=json)
    else:
        deciding.revocations(config, json=json)
