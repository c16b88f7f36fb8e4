"""Every named limit: what stands at it is taken, what is one beyond it is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest

from clearinghouse.clearing.facts import gather
from clearinghouse.clearing.proof import prove
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.errors import BudgetExhausted, ClearinghouseError, MalformedAssertion, TooLarge
from clearinghouse.keynote import Admissions, Assertions, Proof, admit, parse, principals
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.public_keys import RsaKey
from tests.world import NOON, request

VALUES = ("deny", "allow")


def query(*texts: str, limits: Limits, action: dict[str, str] | None = None) -> Proof:
    known = Assertions(policies=[admit(text.encode(), policy=True, limits=limits) for text in texts], limits=limits)
    return known.query(authorizers=["K"], action=action or {}, values=VALUES)


def chain_of(length: int) -> list[str]:
    names = ["POLICY", *(f"p{number}" for number in range(length - 1)), "K"]
    return [f'Authorizer: "{names[at]}"\nLicensees: "{names[at + 1]}"\n' for at in range(length)]


def assertion_bytes(size: int, limits: Limits) -> None:
    parse(b'Authorizer: "K"\nComment: '.ljust(size, b"x"), limits=limits)


def hand_in(credentials: tuple[bytes, ...], limits: Limits) -> None:
    facts = gather(request("ann", "whitelist"), community="csirt-net", now=NOON)
    believed, budget = Snapshot.of({}, ()), Budget(10_000)
    prove(facts, believed, VALUES, credentials=credentials, admissions=Admissions(), budget=budget, limits=limits)


def assertions(count: int, limits: Limits) -> None:
    hand_in((b"Authorizer: nonsense",) * count, limits)


def request_bytes(size: int, limits: Limits) -> None:
    hand_in((b"x" * (size // 2), b"x" * (size - size // 2)), limits)


def nesting(depth: int, limits: Limits) -> None:
    parse(b'Authorizer: "K"\nConditions: ' + b"(" * (depth - 2) + b"a == b" + b")" * (depth - 2) + b";\n", limits=limits)


def members(count: int, limits: Limits) -> None:
    parse(f'Authorizer: "K"\nLicensees: 1-of({", ".join(["a"] * count)})\n'.encode(), limits=limits)


def steps(count: int, limits: Limits) -> None:
    query(*chain_of(count), limits=limits)


def regex_bytes(size: int, limits: Limits) -> None:
    """A byte of a pattern, with its repetitions written out, needs 96 bytes of the compiled one."""
    proof = query(f'Authorizer: "POLICY"\nLicensees: "K"\nConditions: "x" ~= "y{{{size // 96 - 3}}}|x";\n', limits=limits)
    if proof.value != "allow":
        raise TooLarge(proof.skipped[0].detail)


def pattern_bytes(size: int, limits: Limits) -> None:
    proof = query('Authorizer: "POLICY"\nLicensees: "K"\nConditions: x ~= p;\n', limits=limits, action={"x": "x" * size, "p": "x" * size})
    if proof.value != "allow":
        raise TooLarge(proof.skipped[0].detail)


def attribute_bytes(size: int, limits: Limits) -> None:
    query(limits=limits, action={"x": "x" * size})


def attributes(count: int, limits: Limits) -> None:
    query(limits=limits, action={f"n{number}": "" for number in range(count)})


def chain(length: int, limits: Limits) -> None:
    assert len(query(*chain_of(length), limits=limits).chain) == length


def rsa_bits(bits: int, limits: Limits) -> None:
    modulus = (1 << bits - 1) + 1
    key = principals.of_key(RsaKey(modulus, 65_537))
    principals.check_strength(key, allow_legacy=False, limits=limits)


def values(count: int, limits: Limits) -> None:
    Assertions(limits=limits).query(authorizers=["K"], action={}, values=[str(number) for number in range(count)])


CASES: dict[str, tuple[Callable[[int, Limits], None], int, type[ClearinghouseError]]] = {
    "assertion_bytes": (assertion_bytes, 100, TooLarge),
    "assertions": (assertions, 3, TooLarge),
    "request_bytes": (request_bytes, 1_000, TooLarge),
    "nesting": (nesting, 10, MalformedAssertion),
    "members": (members, 10, MalformedAssertion),
    "steps": (steps, 100, BudgetExhausted),
    "regex_bytes": (regex_bytes, 96 * 200, TooLarge),
    "pattern_bytes": (pattern_bytes, 20, TooLarge),
    "attribute_bytes": (attribute_bytes, 500, TooLarge),
    "attributes": (attributes, 5, TooLarge),
    "chain": (chain, 10, TooLarge),
    "rsa_bits": (rsa_bits, 4_096, TooLarge),
    "values": (values, 7, TooLarge),
}


def test_every_limit_has_a_case() -> None:
    assert CASES.keys() == {field.name for field in fields(Limits)}


@pytest.mark.parametrize("name", CASES)
def test_at_the_limit_all_is_well(name: str) -> None:
    attempt, size, _ = CASES[name]
    attempt(size, Limits().with_(**{name: size}))


@pytest.mark.parametrize("name", CASES)
def test_beyond_the_limit_it_is_refused(name: str) -> None:
    attempt, size, error = CASES[name]
    with pytest.raises(error):
        attempt(size + (96 if name == "regex_bytes" else 1), Limits().with_(**{name: size}))


# -- limits that are counted in more than one place ------------------------------------------------


@pytest.mark.parametrize("licensees", ["1-of({})", "{}"], ids=["k-of", "one of"])
def test_members_of_every_list_are_counted(licensees: str) -> None:
    limits = Limits(members=5)
    separator = ", " if "of" in licensees else " || "
    for count, legal in ((5, True), (6, False)):
        raw = f'Authorizer: "K"\nLicensees: {licensees.format(separator.join(["a"] * count))}\n'.encode()
        if legal:
            parse(raw, limits=limits)
        else:
            with pytest.raises(MalformedAssertion, match="more than 5"):
                parse(raw, limits=limits)


@pytest.mark.parametrize(
    "body",
    [
        "(" * 60 + "a == b" + ")" * 60 + ";",
        "!" * 60 + "true;",
        "-" * 60 + "@a == 0;",
        "$" * 60 + "a == b;",
        "@a" + "^2" * 60 + " == 0;",
        "true -> {" * 60 + "true;" + "};" * 60,
        "a == " + "b . (" * 60 + "c" + ")" * 60 + ";",
        "(a == b || (a == b && " * 30 + "true" + "))" * 30 + ";",
    ],
    ids=["brackets", "negations", "minus signs", "dereferences", "operators", "blocks", "joins", "both"],
)
def test_nothing_nests_without_end(body: str) -> None:
    with pytest.raises(MalformedAssertion, match="nested more than 48 deep"):
        parse(f'Authorizer: "K"\nConditions: {body}\n'.encode())


def test_licensees_do_not_nest_without_end() -> None:
    with pytest.raises(MalformedAssertion, match="nested more than 48 deep"):
        parse(b'Authorizer: "K"\nLicensees: ' + b"(" * 60 + b"a" + b")" * 60 + b"\n")


def test_what_is_wide_is_not_deep() -> None:
    tree = parse(b'Authorizer: "K"\nConditions: ' + b" && ".join([b'a == "b"'] * 500) + b";\n")
    assert tree.conditions is not None


@pytest.mark.parametrize("number", ["9" * 5_000, "9" * 21], ids=["5000 digits", "21 digits"])
@pytest.mark.parametrize("body", ["@a == {};", "&a < {}.0;"])
def test_numbers_have_a_bound(body: str, number: str) -> None:
    raw = f'Authorizer: "K"\nConditions: {body.format(number)}\n'.encode()
    if len(number) == 21 and "." in body:
        assert parse(raw).conditions is not None
    else:
        with pytest.raises(MalformedAssertion, match="digits"):
            parse(raw)


@pytest.mark.parametrize("k", ["9" * 9, "9" * 5_000])
def test_a_huge_threshold_cannot_be_met(k: str) -> None:
    with pytest.raises(MalformedAssertion, match="can never be met by 1 principals"):
        parse(f'Authorizer: "K"\nLicensees: {k}-of("a")\n'.encode())


def test_local_limits_are_wider_for_files_of_the_operator() -> None:
    ours, theirs = Limits.local(), Limits()
    assert all(getattr(ours, field.name) >= getattr(theirs, field.name) for field in fields(Limits))
    assert Limits().with_(chain=3) == Limits(chain=3)
