"""``levels``: what the policies in folders say about members, without any service: all of them, before and after, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli.options import Json, Now
from clearinghouse.cli.serve import DEFAULT_CONFIG

SHOW = """
\b
Examples:
  clearinghouse levels show --policies policies/federation-demo \\
    --credentials credentials/federation-demo north.fed.example
  clearinghouse levels show --members members.jsonl --pairs
  clearinghouse levels show --audience a.example --now 2027-01-01

\b
Exit status: 0 shown; 2 bad input, or no policy could be loaded.
"""
DIFF = """
\b
Examples:
  clearinghouse levels diff --members members.jsonl --to-policies draft/
  clearinghouse levels diff --to-now 2027-01-01 --threshold 5

\b
Exit status: 0 at most --threshold levels change; 1 more do; 2 bad input.
"""
EXPLAIN = """
\b
Example:
  clearinghouse levels explain west.fed.example --audience south.fed.example \\
    --policies policies/federation-demo --credentials credentials/federation-demo

\b
Exit status: 0 it has more than the lowest level; 1 it has the lowest; 2 bad input.
"""

Config = Annotated[Path, typer.Option("--config", metavar="FILE", help="Settings that name folders, community and levels, if it is there.")]
Policies = Annotated[Path | None, typer.Option("--policies", metavar="DIR", help="The folder with a folder for each group of operations.")]
Credentials = Annotated[Path | None, typer.Option("--credentials", metavar="DIR", help="The folder of credentials.")]
Members = Annotated[
    list[str] | None,
    typer.Option(
        "--members",
        metavar="FILE",
        help="Records by `member` and `import`, the answer of `member list --json`, or names.",
    ),
]
Names = Annotated[list[str] | None, typer.Argument(metavar="DOMAIN...", help="Members by name, beside those of --members.")]
Audience = Annotated[
    list[str] | None, typer.Option("--audience", metavar="DOMAIN", help="Whose view: a domain, or * for the community's; may be repeated.")
]
Scale = Annotated[str | None, typer.Option("--levels", metavar="V,V,...", help="The community's levels, weakest first.")]
Community = Annotated[str | None, typer.Option("--community", metavar="NAME", help="The community's name.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    levels = typer.Typer(help="Work out the levels of members from folders: show, compare and explain them.", rich_markup_mode=None)
    levels.command("show", epilog=SHOW)(show)
    levels.command("diff", epilog=DIFF)(diff)
    levels.command("explain", epilog=EXPLAIN)(explain)
    app.add_typer(levels, name="levels")


def show(  # noqa: PLR0913, PLR0917 - each option is a parameter
    domains: Names = None,
    members: Members = None,
    audience: Audience = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Show a column for each member: what it lets in, at which level.")] = False,
    policies: Policies = None,
    credentials: Credentials = None,
    levels: Scale = None,
    community: Community = None,
    config: Config = DEFAULT_CONFIG,
    now: Now = None,
    json: Json = False,
) -> None:
    """Show the level of each member, for the whole community or as one server is to see it.

    An assertion that reads facts of a live connection counts in no table, and is named. A file that
    cannot be loaded is named and left out; the others count.
    """
    from clearinghouse.cli import levelling  # noqa: PLC0415 - as in `serve`

    where = levelling.Where(config, policies, credentials, levels, community, now)
    levelling.show(where, levelling.members_of(members or (), domains or ()), audience or (), pairs=pairs, json=json)


def diff(  # noqa: PLR0913, PLR0917 - each option is a parameter
    domains: Names = None,
    members: Members = None,
    audience: Audience = None,
    policies: Policies = None,
    credentials: Credentials = None,
    to_policies: Annotated[Path | None, typer.Option("--to-policies", metavar="DIR", help="Other policies to compare with.")] = None,
    to_credentials: Annotated[Path | None, typer.Option("--to-credentials", metavar="DIR", help="Other credentials.")] = None,
    to_now: Annotated[str | None, typer.Option("--to-now", metavar="TIME", help="Another time.")] = None,
    threshold: Annotated[
        int | None, typer.Option("--threshold", metavar="N", help="Exit with 1 if more than so many levels change.")
    ] = None,
    levels: Scale = None,
    community: Community = None,
    config: Config = DEFAULT_CONFIG,
    now: Now = None,
    json: Json = False,
) -> None:
    """Show who gains, loses or changes a level with other policies, other credentials or at another time.

    What is not named stays as it is: with --to-policies alone the credentials and the time are the same
    on both sides. Nothing is changed.
    """
    from clearinghouse.cli import levelling  # noqa: PLC0415 - as in `serve`

    before = levelling.Where(config, policies, credentials, levels, community, now)
    after = before.but(to_policies, to_credentials, to_now)
    found = levelling.members_of(members or (), domains or ())
    levelling.diff(before, after, found, audience or (), threshold=threshold, json=json)


def explain(  # noqa: PLR0913, PLR0917 - each option is a parameter
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="The member.")],
    members: Members = None,
    audience: Annotated[str, typer.Option("--audience", metavar="DOMAIN", help="Whose view: a domain, or * for the community's.")] = "*",
    everything: Annotated[bool, typer.Option("--all", help="Draw also what does not lead to the member.")] = False,
    policies: Policies = None,
    credentials: Credentials = None,
    levels: Scale = None,
    community: Community = None,
    config: Config = DEFAULT_CONFIG,
    now: Now = None,
    json: Json = False,
) -> None:
    """Draw why a member has its level: what held, what failed, and what the next level would need.

    The member's keys count where --members has its record.
    """
    from clearinghouse.cli import levelling  # noqa: PLC0415 - as in `serve`

    where = levelling.Where(config, policies, credentials, levels, community, now)
    levelling.explain(where, levelling.one_of(members or (), domain), audience, everything=everything, json=json)
