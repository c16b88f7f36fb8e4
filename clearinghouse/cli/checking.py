"""``verify`` and ``lint``: what is wrong with assertions."""

from __future__ import annotations

from typing import Annotated

import typer

from clearinghouse.cli.advising import Finding, findings, summary, tell_finding
from clearinghouse.cli.options import Json, Legacy, Sources
from clearinghouse.cli.output import STRONG, Located, as_json, clean, error_json, finish, mark, say, tell_error
from clearinghouse.cli.reading import Piece, located, pieces
from clearinghouse.cli.verdicts import Verdict, judged
from clearinghouse.keynote.principals import describe

VERIFY_EPILOG = """
\b
Examples:
  clearinghouse verify analyst.kn
  clearinghouse verify credentials/ --json

\b
Exit status: 0 all are valid; 1 one is not; 2 a file cannot be read.
"""

LINT_EPILOG = """
\b
Examples:
  clearinghouse lint policies/demo
  clearinghouse lint --strict draft.kn

\b
Exit status: 0 nothing to say but notes; 1 warnings, or what cannot be
parsed; 2 a file cannot be read.

A comment in an assertion, # lint: allow K701, says that its author has
seen the advice.
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=VERIFY_EPILOG)(verify)
    app.command(epilog=LINT_EPILOG)(lint)


def verify(files: Sources, allow_legacy: Legacy = False, json: Json = False) -> None:
    """Check the signature of each credential, and say whose it is.

    A policy has no signature; it is trusted because you keep it, so it is no valid credential.
    """
    inputs = list(pieces(files))
    unread = [each for each in inputs if isinstance(each, Located)]
    verdicts = [judged(each, allow_legacy=allow_legacy) for each in inputs if isinstance(each, Piece)]
    ok = not unread and all(each.valid for each in verdicts)
    if json:
        as_json("verify", ok=ok, assertions=[each.as_json() for each in verdicts], errors=[error_json(each) for each in unread])
    else:
        _tell_verdicts(verdicts, unread)
    finish(ok=ok, unread=unread)


def _tell_verdicts(verdicts: list[Verdict], unread: list[Located]) -> None:
    for verdict in verdicts:
        said = verdict.kind if verdict.valid else "not valid"
        who = describe(verdict.admitted.authorizer or "") if verdict.admitted else "nobody knows whose"
        say(mark(good=verdict.valid), f" {clean(verdict.piece.place)}: ", (said, STRONG), f", {who}, id {verdict.id[:16] or 'unknown'}")
        if verdict.error:
            tell_error(located(verdict.error, verdict.piece))
    for problem in unread:
        tell_error(problem)


def lint(
    files: Sources,
    strict: Annotated[bool, typer.Option("--strict", help="Let notes count as well.")] = False,
    desk: Annotated[str, typer.Option("--desk", metavar="PRINCIPAL", help="The key that signs approvals.")] = "",
    json: Json = False,
) -> None:
    """Say what in assertions may not mean what their author meant.

    All inputs are also looked at together: near misses between them, and licences the wrong way round.
    """
    inputs = list(pieces(files))
    unread = [each for each in inputs if isinstance(each, Located)]
    assertions = [each for each in inputs if isinstance(each, Piece)]
    found = findings(assertions, desk=desk)
    ok = not unread and not any(strict or each.level != "note" for each in found)
    if json:
        as_json("lint", ok=ok, findings=[each.as_json() for each in found], errors=[error_json(each) for each in unread])
    else:
        _tell_findings(found, unread, len(assertions))
    finish(ok=ok, unread=unread)


def _tell_findings(found: list[Finding], unread: list[Located], assertions: int) -> None:
    for finding in found:
        tell_finding(finding)
    for problem in unread:
        tell_error(problem)
    say(summary(found, assertions))
