"""What ``scenario`` does, apart from its options: run the files, and tell what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from clearinghouse.cli.output import BAD, DIM, as_json, clean, finish, mark, say
from clearinghouse.cli.scenario_run import Result, run_file
from clearinghouse.keynote import Proof
from clearinghouse.keynote.principals import short

_VALUE_WIDTH = 8


def run(files: Sequence[Path], *, json: bool) -> None:
    """Run *files* and print their results; exit status 1 unless every decision is the wanted one."""
    results = [result for path in files for result in run_file(path)]
    failed = sum(not result.passed for result in results)
    if json:
        found = [_result_json(result) for result in results]
        as_json("scenario", ok=not failed, passed=len(results) - failed, failed=failed, scenarios=found)
    else:
        for path, group in groupby(results, key=lambda result: result.file):
            _tell_file(path, list(group))
        say(f"{len(results) - failed} passed, {failed} failed")
    finish(ok=not failed)


def _tell_file(path: Path, results: list[Result]) -> None:
    say(str(path), (f"  {results[0].title}", DIM))
    for result in results:
        say(mark(good=result.passed), f" {result.decision.value:<{_VALUE_WIDTH}} ", clean(result.scenario.note), indent=2)
        if not result.passed:
            for row in _told(result):
                say(row, indent=13)
    say("")


def _told(result: Result) -> Iterator[str | tuple[str, Any]]:
    """Yield what was not as wanted, and why the decision is what it is."""
    for failure in result.failures:
        yield clean(failure), BAD
    reason = result.decision.reason
    yield f"{reason.code}: {clean(reason.text)}"
    if result.decision.proof is not None:
        yield from (row for row in _proof(result.decision.proof) if row != clean(reason.text))


def _proof(proof: Proof) -> Iterator[str]:
    """Yield a line for each assertion that carried the value, and for each that was left out."""
    for link in proof.chain:
        clause = f", clause {'.'.join(map(str, link.clause))}" if link.clause else ""
        licensees = ", ".join(f"`{short(name)}`" for name in link.licensees) or "anybody"
        yield f"{clean(link.source)}{clause}: `{short(link.authorizer)}` gives `{clean(link.value)}` to {licensees}"
    for each in proof.skipped:
        yield f"{clean(each.source)}, line {each.line}: {each.reason}: {clean(each.detail)}"
    for missing in proof.missing:
        yield clean(missing.sentence())


def _result_json(result: Result) -> dict[str, Any]:
    decision = result.decision
    return {
        "file": str(result.file),
        "number": result.number,
        "note": result.scenario.note,
        "passed": result.passed,
        "failures": list(result.failures),
        "value": decision.value,
        "outcome": decision.outcome.value,
        "reason": {"code": decision.reason.code, "text": decision.reason.text},
        "proof": decision.proof.as_json() if decision.proof else None,
    }
