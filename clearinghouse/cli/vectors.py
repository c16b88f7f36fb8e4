"""KeyNote cases with known answers, as other implementations publish them: one JSON object a line.

The members are described in ``tests/conformance/README.md`` and ``docs/reference/command-line.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clearinghouse.cli.errata import erratum_of
from clearinghouse.cli.output import clean
from clearinghouse.errors import BadQuery, BadSignature, ClearinghouseError, MalformedAssertion
from clearinghouse.keynote import Admitted, Assertions, Limits, admit

NO_AUTHORIZERS = {"error": "no-authorizers"}
"""What a case expects of a question that nobody asks."""

_LIMITS = Limits.local()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case: its id (or the number of its line), and each difference in a sentence.

    ``erratum`` says why the case was judged by another expectation than its own.
    """

    file: str
    line: int
    id: str
    differences: tuple[str, ...]
    erratum: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything was as the case wants it."""
        return not self.differences

    def as_json(self) -> dict[str, object]:
        """Return it in the documented schema."""
        return {
            "file": self.file,
            "line": self.line,
            "id": self.id,
            "passed": self.passed,
            "differences": list(self.differences),
            "erratum": self.erratum,
        }


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a file of vectors, its members checked."""

    assertions: tuple[tuple[str, bool], ...]
    action: Mapping[str, str]
    authorizers: tuple[str, ...]
    values: tuple[str, ...]
    expect: str | None
    malformed: frozenset[int]
    badsig: frozenset[int]


class _NoCase(Exception):
    """A line is no case; the message says what is wrong with it."""


def run_file(file: str, data: bytes) -> Iterator[Result]:
    """Run each line of a file; a line that is no case is a failed case."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield _run_line(file, number, line)


def _run_line(file: str, number: int, line: bytes) -> Result:
    name = f"line {number}"
    try:
        found = json.loads(line)
        name = clean(found["id"]) if isinstance(found, dict) and isinstance(found.get("id"), str) else name
        case = _case(found)
        erratum = erratum_of(found)
        judged = case if erratum is None else replace(case, expect=erratum.expect)
        return Result(file, number, name, tuple(differences(judged)), erratum.because if erratum else "")
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        return Result(file, number, name, ("the line is no JSON",))
    except _NoCase as problem:
        return Result(file, number, name, (str(problem),))


def differences(case: Case) -> Iterator[str]:
    """Yield in what the engine differs from the case."""
    admitted: dict[int, Admitted] = {}
    refused: dict[int, ClearinghouseError] = {}
    for number, (text, policy) in enumerate(case.assertions):
        try:
            admitted[number] = admit(_octets(text), policy=policy, allow_legacy=True, limits=_LIMITS)
        except ClearinghouseError as error:
            refused[number] = error
    yield from _refusals(case, refused)
    got = _answer(case, admitted)
    wanted = "the error `no-authorizers`" if case.expect is None else f"`{clean(case.expect)}`"
    if got != wanted:
        yield f"wanted {wanted}, got {got}"


def _refusals(case: Case, refused: Mapping[int, ClearinghouseError]) -> Iterator[str]:
    """Each assertion that is broken by construction must be refused, and for the reason that the case names."""
    for number in sorted(case.malformed):
        if not isinstance(refused.get(number), MalformedAssertion):
            yield f"assertion {number} was to be refused as malformed, and was {_became(refused.get(number))}"
    for number in sorted(case.badsig):
        # Tampering may leave a text that cannot even be read; then nothing in it counts, its signature included.
        if not isinstance(refused.get(number), BadSignature | MalformedAssertion):
            yield f"assertion {number} was to be refused for its signature, and was {_became(refused.get(number))}"


def _became(error: ClearinghouseError | None) -> str:
    return "admitted" if error is None else f"refused as {error.code}: {clean(str(error))}"


def _answer(case: Case, admitted: Mapping[int, Admitted]) -> str:
    """Return the value in backticks, or the error."""
    policies = [each for each in admitted.values() if each.policy]
    credentials = [each for each in admitted.values() if not each.policy]
    assertions = Assertions(policies=policies, credentials=credentials, limits=_LIMITS)
    try:
        proof = assertions.query(authorizers=case.authorizers, action=case.action, values=case.values)
    except BadQuery as error:
        return "the error `no-authorizers`" if not case.authorizers else f"an error: {clean(str(error))}"
    except ClearinghouseError as error:
        return f"an error: {clean(str(error))}"
    return f"`{clean(proof.value)}`"


# -- reading a case -----------------------------------------------------------------------------------


def _case(found: Any) -> Case:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(found, dict):
        raise _NoCase("the line is no JSON object")
    assertions = _member(found, "assertions", list)
    return Case(
        assertions=tuple(_assertion(each, number) for number, each in enumerate(assertions)),
        action=_texts_by_name(_member(found, "action", dict)),
        authorizers=_texts(_member(found, "authorizers", list), "authorizers"),
        values=_texts(_member(found, "values", list), "values"),
        expect=_expected(found),
        malformed=_indices(found.get("malformed", []), "malformed", len(assertions)),
        badsig=_indices(found.get("badsig", []), "badsig", len(assertions)),
    )


def _member(found: Mapping[str, Any], name: str, kind: type) -> Any:  # noqa: ANN401 - of that kind
    if name not in found:
        raise _NoCase(f"the member `{name}` is missing")
    if not isinstance(found[name], kind):
        raise _NoCase(f"the member `{name}` is no {'list' if kind is list else 'object'}")
    return found[name]


def _assertion(found: Any, number: int) -> tuple[str, bool]:  # noqa: ANN401 - whatever JSON holds
    if not (isinstance(found, dict) and isinstance(found.get("text"), str) and isinstance(found.get("policy"), bool)):
        raise _NoCase(f"assertion {number} has not the members `text` (a string) and `policy` (true or false)")
    return found["text"], found["policy"]


def _texts(found: list[Any], name: str) -> tuple[str, ...]:
    if not all(isinstance(each, str) for each in found):
        raise _NoCase(f"the member `{name}` holds something that is no string")
    return tuple(found)


def _texts_by_name(found: dict[str, Any]) -> dict[str, str]:
    _texts(list(found.values()), "action")
    return found


def _expected(found: Mapping[str, Any]) -> str | None:
    """Return the value that is wanted, ``None`` for the error of a question without requesters."""
    expect = found.get("expect")
    if expect == NO_AUTHORIZERS:
        return None
    if not isinstance(expect, str):
        raise _NoCase('the member `expect` is neither a value nor `{"error": "no-authorizers"}`')
    return expect


def _indices(found: Any, name: str, count: int) -> frozenset[int]:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(found, list) or not all(type(each) is int and 0 <= each < count for each in found):
        raise _NoCase(f"the member `{name}` is no list of indices of assertions")
    return frozenset(found)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
