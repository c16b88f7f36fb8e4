"""Credentials made: composed from parts, given a serial, signed.

Nothing is signed that was not read back first, and nothing is returned that would not be admitted
(authority rules R4, R13 and R14).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote import signatures, syntax
from clearinghouse.keynote.context import ACTION_AUTHORIZERS
from clearinghouse.keynote.credential import admit
from clearinghouse.keynote.fields import split_fields
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.octets import octets_to_bytes, to_octets
from clearinghouse.keynote.parser import parse, parse_body
from clearinghouse.keynote.places import malformed
from clearinghouse.keynote.principals import is_key, normalise, short, shown
from clearinghouse.keynote.printer import print_assertion
from clearinghouse.keynote.texts import fold

SERIAL = "serial: "
"""What stands before the serial in the Comment field."""

_LINE = 132
"""Characters of one line of a signature: an Ed25519 signature in hex stays on one."""

_SUBJECTS = 16
"""Sets of requesters that are written out; 2-of-4 has 11."""

_SERIAL = re.compile(rf"(?m)^[ \t]*(?:Comment:[ \t]*)?{SERIAL}", re.IGNORECASE)

# -- signing ------------------------------------------------------------------------------------------


def sign(text: bytes, key: PrivateKey, *, kind: str | None = None, allow_legacy: bool = False, limits: Limits | None = None) -> bytes:
    """Return the credential that *text*, an assertion without Signature, becomes when *key* signs it.

    *kind* is a signature identifier such as ``sig-rsa-sha512-base64``.  Empty lines around the text are
    left out; not a byte between them is changed.  *limits* are those of whoever will admit it, by default a
    stranger's.  Raises :class:`MalformedAssertion` where the text
    does not parse, is signed already, or has another authorizer; :class:`WeakKey`; :class:`TooLarge`.
    """
    unsigned = text.lstrip(b"\n").rstrip(b" \t\n") + b"\n"
    tree = parse(unsigned, limits=limits)
    _check_authorizer(tree, key)
    signature = signatures.sign(tree.raw[tree.signed_start :], key, kind, allow_legacy=allow_legacy)
    signed = unsigned + _signature_field(signature)
    admit(signed, allow_legacy=allow_legacy, limits=limits, learn=False)
    return signed


def _check_authorizer(tree: syntax.Assertion, key: PrivateKey) -> None:
    if tree.signature is not None:
        raise _at(tree, "Signature", "the text is signed already", "remove its Signature field to sign it anew")
    written = fold(tree.authorizer, dict(tree.constants))
    if written is None:
        raise _at(tree, "Authorizer", "the authorizer depends on the request", f'write the key itself: `Authorizer: "{key.principal}"`')
    if normalise(written) != key.principal:
        message = f"the authorizer is `{shown(written)}`, and this key signs for `{short(key.principal)}` only"
        raise _at(tree, "Authorizer", message, f'write `Authorizer: "{key.principal}"`, or take the authorizer\'s key')


def _at(tree: syntax.Assertion, label: str, message: str, mend: str) -> MalformedAssertion:
    text = tree.raw.decode("latin-1")
    field = split_fields(text)[0].get(label)
    return malformed(text, field.at if field else 0, message, mend, len(label))


def _signature_field(signature: str) -> bytes:
    """Return the field, its bits broken by backslashes where one line would be too long."""
    name, _, bits = signature.partition(":")
    if len(bits) <= _LINE:
        return f'Signature: "{name}:{bits}"\n'.encode("ascii")
    rows = [bits[at : at + _LINE] for at in range(0, len(bits), _LINE)]
    return ("\\\n  ".join([f'Signature: "{name}:', *rows]) + '"\n').encode("ascii")


def with_serial(text: bytes, serial: str) -> bytes:
    """Return an unsigned *text* whose Comment has a serial: *serial*, unless it has one already.

    Without it the same text, signed again, has the same id, and would be born revoked.
    """
    parse(text)
    octets = text.decode("latin-1").rstrip(" \t\n") + "\n"
    fields, _ = split_fields(octets)
    comment = fields.get("Comment")
    if comment is None:
        return f"{octets}Comment: {SERIAL}{serial}\n".encode("latin-1")
    if _SERIAL.search(octets[comment.at : comment.end]):
        return text
    body = octets[comment.at : comment.end].rstrip(" \t\n")
    return f"{octets[: comment.at]}{body}\n  {SERIAL}{serial}\n{octets[comment.end :]}".encode("latin-1")


# -- composing ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a credential is to say.

    ``licensees`` and ``conditions`` are KeyNote text; conditions are one test, or clauses.  Unless
    ``may_delegate``, every clause demands that the licensees ask in person (``subject``, a test; by
    default ``_ACTION_AUTHORIZERS`` is what the licensees are).  Names that are no keys cannot sign
    and so cannot delegate: where there are only such, nothing is demanded by default, and they may
    ask together with others, as a user does with its domain.  ``until`` is the first day, in UTC, on
    which the credential no longer holds.  ``serial`` makes its id unlike any other.
    """

    authorizer: str
    licensees: str
    conditions: str = ""
    value: str = ""
    operation: str = ""
    subject: str = ""
    until: date | None = None
    may_delegate: bool = False
    comment: str = ""
    serial: str = ""
    constants: tuple[tuple[str, str], ...] = ()


def compose(draft: Draft) -> bytes:
    """Return the assertion that *draft* describes, unsigned.

    It is printed from a tree, read again, and compared, so no text in *draft* can become anything
    but what it was meant to be.  Raises :class:`MalformedAssertion`, its line and column counted in
    the part that is wrong.
    """
    constants = tuple((to_octets(name), to_octets(value)) for name, value in draft.constants)
    licensees = parse_body("Licensees", to_octets(draft.licensees))
    tree = syntax.Assertion(
        authorizer=syntax.Literal(to_octets(draft.authorizer)),
        licensees=licensees,
        conditions=_conditions(draft, _demands(draft, licensees, dict(constants))),
        constants=constants,
        comment=_comment(draft),
    )
    text = octets_to_bytes(print_assertion(tree))
    if parse(text) != tree:
        raise MalformedAssertion("what was composed reads back as something else", mend="use plain names for constants")
    return text


def _comment(draft: Draft) -> str | None:
    """Return one line for each line of the comment, invisible characters written out, and the serial."""
    lines = [line.strip() for line in draft.comment.splitlines()] + ([SERIAL + draft.serial] if draft.serial else [])
    plain = ["".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line) for line in lines if line]
    return to_octets("\n  ".join(plain)) or None


def _demands(draft: Draft, licensees: syntax.Licensees, constants: dict[str, str]) -> tuple[syntax.Test, ...]:
    """Return what every clause demands: the operation, the subject, the time (rule R13)."""
    demands: list[syntax.Test] = []
    if draft.operation:
        demands.append(_equal("operation", to_octets(draft.operation)))
    if draft.subject:
        demands.append(_test(draft.subject))
    elif not draft.may_delegate and any(map(is_key, _named(licensees, constants))):
        demands.append(_in_person(licensees, constants))
    if draft.until is not None:
        demands.append(syntax.TextRelation("<", syntax.Attribute("date"), syntax.Literal(draft.until.strftime("%Y%m%d"))))
    return tuple(demands)


def _conditions(draft: Draft, demands: tuple[syntax.Test, ...]) -> syntax.Program | None:
    value = syntax.Literal(to_octets(draft.value)) if draft.value else None
    if not draft.conditions.strip():
        return syntax.Program((syntax.Clause(_all_of(demands), value),)) if demands or value else None
    clauses = _program(draft.conditions).clauses
    return syntax.Program(tuple(syntax.Clause(_all_of((*demands, clause.test)), clause.value or value) for clause in clauses))


def _program(text: str) -> syntax.Program:
    """Return the clauses of *text*; a single test needs no `;`."""
    octets = to_octets(text).rstrip()
    program: syntax.Program = parse_body("Conditions", octets if octets.endswith(";") else octets + ";")
    return program


def _test(text: str) -> syntax.Test:
    """Return the one test that *text* is."""
    match _program(text).clauses:
        case (syntax.Clause(test, None),):
            return test
        case _:
            raise MalformedAssertion("the subject is not a single test", mend=f'write one test, such as `{ACTION_AUTHORIZERS} == "..."`')


def _all_of(tests: tuple[syntax.Test, ...]) -> syntax.Test:
    flat = tuple(part for test in tests for part in (test.tests if isinstance(test, syntax.And) else (test,)))
    return flat[0] if len(flat) == 1 else syntax.And(flat) if flat else syntax.Truth(value=True)


def _equal(name: str, value: str) -> syntax.Test:
    return syntax.TextRelation("==", syntax.Attribute(name), syntax.Literal(value))


def _named(licensees: syntax.Licensees, constants: dict[str, str]) -> list[str]:
    return [_principal(node.name, constants) for node in syntax.nodes(licensees) if isinstance(node, syntax.Principal)]


def _in_person(licensees: syntax.Licensees, constants: dict[str, str]) -> syntax.Test:
    """Return the test that the requesters are the licensees themselves, and nobody else."""
    subjects = sorted({",".join(sorted(names)) for names in _who_may_ask(licensees, constants)})
    if len(subjects) > _SUBJECTS:
        raise _too_many()
    tests = tuple(_equal(ACTION_AUTHORIZERS, names) for names in subjects)
    return tests[0] if len(tests) == 1 else syntax.Or(tests)


def _who_may_ask(licensees: syntax.Licensees, constants: dict[str, str]) -> set[frozenset[str]]:
    """Return each set of principals that meets *licensees* by itself."""
    match licensees:
        case syntax.Principal(name):
            return {frozenset({_principal(name, constants)})}
        case syntax.AnyOf(parts):
            return {names for part in parts for names in _who_may_ask(part, constants)}
        case syntax.AllOf(parts):
            found = {frozenset[str]()}
            for part in parts:
                found = {names | more for names in found for more in _who_may_ask(part, constants)}
                if len(found) > _SUBJECTS:
                    raise _too_many()
            return found
        case syntax.Threshold(k, members):
            if len(members) > _SUBJECTS:
                raise _too_many()
            names = [_principal(member.name, constants) for member in members]
            return {frozenset(chosen) for size in range(k, len(names) + 1) for chosen in combinations(names, size)}


def _too_many() -> MalformedAssertion:
    mend = f"give the test of `{ACTION_AUTHORIZERS}` yourself, or allow delegation"
    return MalformedAssertion(f"these licensees may ask in more than {_SUBJECTS} different ways, too many to write out", mend=mend)


def _principal(name: syntax.Text, constants: dict[str, str]) -> str:
    written = fold(name, constants)
    if written is None:
        raise MalformedAssertion("a licensee depends on the request", mend="put the principal in quotation marks, or allow delegation")
    return normalise(written)
