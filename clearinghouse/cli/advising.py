"""What the parser and the linter say about the inputs of one command, in the order of the inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rich.style import Style

from clearinghouse.cli.output import BAD, CAUTION, DIM, STRONG, Located, clean, say
from clearinghouse.cli.reading import Piece, located
from clearinghouse.errors import ClearinghouseError, MalformedAssertion
from clearinghouse.keynote import Limits, parse, syntax
from clearinghouse.keynote.lint import Advice, lint, lint_set

_STYLES = {"error": BAD, "warning": CAUTION, "note": Style(color="cyan")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about one place of an input; ``level`` is ``error``, ``warning`` or ``note``."""

    file: str
    line: int
    column: int
    level: str
    rule: str
    name: str
    message: str
    mend: str

    def as_json(self) -> dict[str, object]:
        """Return it in the documented schema."""
        return {each: getattr(self, each) for each in ("file", "line", "column", "level", "rule", "name", "message", "mend")}


def findings(pieces: Iterable[Piece], *, desk: str = "") -> list[Finding]:
    """Return every mistake and every advice, in the order of the inputs and, within each, of the lines.

    *desk* is the principal that signs approvals, where it is known.
    """
    found: list[tuple[int, Finding]] = []
    parsed: list[tuple[int, Piece, syntax.Assertion]] = []
    for number, piece in enumerate(pieces):
        try:
            tree = parse(piece.raw, limits=Limits.local())
        except ClearinghouseError as error:
            found += [(number, each) for each in _mistakes(error, piece)]
        else:
            parsed.append((number, piece, tree))
            found += [(number, _finding(advice, piece)) for advice in lint(tree, desk=desk)]
    for (number, piece, _), several in zip(parsed, lint_set([tree for _, _, tree in parsed]), strict=True):
        found += [(number, _finding(advice, piece)) for advice in several]
    return [each for _, each in sorted(found, key=lambda item: (item[0], item[1].line, item[1].column, item[1].rule))]


def _mistakes(error: ClearinghouseError, piece: Piece) -> list[Finding]:
    others = error.others if isinstance(error, MalformedAssertion) else ()
    return [_mistake(located(each, piece), piece) for each in (error, *others)]


def _mistake(problem: Located, piece: Piece) -> Finding:
    error = problem.error
    line, column = (error.line, error.column) if isinstance(error, MalformedAssertion) else (piece.line, 1)
    return Finding(piece.where, line, column, "error", error.code, error.code, error.message, error.mend)


def _finding(advice: Advice, piece: Piece) -> Finding:
    line = advice.line + piece.line - 1
    return Finding(piece.where, line, advice.column, advice.level, advice.rule, advice.name, advice.message, advice.mend)


def tell_finding(finding: Finding, indent: int = 0, *, error: bool = False) -> None:
    """Print a finding as compilers do: place, level and rule; what is the matter; what to write; *error* is for standard error."""
    place = f"{clean(finding.file)}:{finding.line}:{finding.column}: "
    rule = f" {finding.rule} {finding.name}" if finding.rule != finding.name else f" {finding.rule}"
    say(place, (finding.level, _STYLES[finding.level]), (rule, STRONG), indent=indent, error=error)
    say(clean(finding.message), indent=indent + 2, error=error)
    if finding.mend:
        say((clean(finding.mend), DIM), indent=indent + 2, error=error)


def summary(found: Iterable[Finding], assertions: int) -> str:
    """Return for instance ``1 error, 2 warnings in 3 assertions``."""
    levels = Counter(finding.level for finding in found)
    counted = ", ".join(_counted(levels[level], level) for level in ("error", "warning", "note") if levels[level])
    return f"{counted or 'nothing to say'} in {_counted(assertions, 'assertion')}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
