"""From raw bytes to an admitted assertion: parsed, its principals decoded, its signature checked.

:class:`Admitted` is the only type that evaluation accepts, and :func:`admit` the only way to get
one.  The steps are numbered in its code:

1. read the fields (RFC 2704, 4.1 to 4.6);
2. resolve the authorizer;
3. for a credential, check the signature, before anything else in it is believed;
4. decode the licensees;
5. name the assertion.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from sys import intern

from clearinghouse.errors import BadPrincipal, BadSignature, ClearinghouseError, HolderError, MalformedAssertion
from clearinghouse.keynote import syntax
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.clock import ClockUse, clock_use
from clearinghouse.keynote.compiler import Constants, Function
from clearinghouse.keynote.context import POLICY
from clearinghouse.keynote.fields import split_fields
from clearinghouse.keynote.licensees import Trusted, resolve
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.parser import parse
from clearinghouse.keynote.places import malformed
from clearinghouse.keynote.principals import is_key, normalise
from clearinghouse.keynote.reader import Reading, read
from clearinghouse.keynote.shapes import Shaped, Shapes, interpreted, weight
from clearinghouse.keynote.signatures import verify
from clearinghouse.keynote.texts import fold

_SIGNATURE_STEPS = 40
"""An Ed25519 check takes about 60 us, an RSA-8192 check about 200 us."""

_INTERPRETED = 8
"""A node takes about 1 us to interpret, and as much again when the answer is explained."""

_TREES = 2_048
"""Trees kept for explanations; one of five comparisons is about 3 kB."""

_LOCAL, _STRANGERS = Limits.local(), Limits()

_shapes = Shapes()


@lru_cache(maxsize=_TREES)
def _parsed(raw: bytes) -> syntax.Assertion:
    return parse(raw, limits=Limits.local())


@lru_cache(maxsize=_TREES)
def _clock_use(raw: bytes) -> ClockUse:
    return _clock_use_of(_parsed(raw))


def _clock_use_of(tree: syntax.Assertion) -> ClockUse:
    return clock_use((tree.authorizer, tree.licensees, tree.conditions), dict(tree.constants))


class Admitted:
    """An assertion that may be evaluated.

    ``id`` is its SHA-256 name (32 bytes; authority rule R14).  ``authorizer`` is a normal form, or
    ``None`` where it depends on the request; then, and where the licensees do (``trusted_by`` is
    ``None``), :meth:`tree` has the texts.  ``function`` is ``None`` for missing Conditions.
    ``kept`` is the tree, where parsing it again would be work that nobody has paid for.
    """

    __slots__ = ("authorizer", "constants", "cost", "function", "id", "kept", "policy", "raw", "source", "trusted_by")

    def __init__(
        self,
        *,
        raw: bytes,
        identity: bytes,
        policy: bool,
        authorizer: str | None,
        trusted_by: Trusted | None,
        function: Function | None,
        constants: Constants,
        cost: int,
        source: str,
    ) -> None:
        """Only :func:`admit` makes one."""
        self.raw = raw
        self.id = identity
        self.policy = policy
        self.authorizer = authorizer
        self.trusted_by = trusted_by
        self.function = function
        self.constants = constants
        self.cost = cost
        self.source = source
        self.kept: syntax.Assertion | None = None

    @property
    def name(self) -> str:
        """The id in hexadecimal, as people and files write it."""
        return self.id.hex()

    def tree(self) -> syntax.Assertion:
        """Return the whole tree; of a condition that is kept by shape it is parsed again, for explanations only."""
        return self.kept or _parsed(self.raw)

    def clock_use(self) -> ClockUse:
        """Return how the assertion reads the clock."""
        return _clock_use_of(self.kept) if self.kept else _clock_use(self.raw)

    def resolved(self, authorizer: str, trusted_by: Trusted) -> Admitted:
        """Return this assertion with the principals that one request gives it."""
        made = self._copy()
        made.authorizer, made.trusted_by = authorizer, trusted_by
        return made

    def found_at(self, source: str) -> Admitted:
        """Return this assertion as one that came from *source*: the same bytes may lie in two places."""
        if source == self.source:
            return self
        made = self._copy()
        made.source = source
        return made

    def _copy(self) -> Admitted:
        made = object.__new__(Admitted)
        for slot in Admitted.__slots__:
            setattr(made, slot, getattr(self, slot))
        return made

    def __repr__(self) -> str:
        """Name the assertion and its channel."""
        return f"<{'policy' if self.policy else 'credential'} {self.name[:12]}>"


@dataclass(frozen=True, slots=True)
class Refused:
    """An assertion that was left out, and why: it never affects the others.

    ``source`` says where it came from (a file, ``credential 2``), ``index`` its place in the list
    that was handed in.
    """

    source: str
    index: int
    error: ClearinghouseError
    raw: bytes = b""


def admit(
    data: bytes | syntax.Assertion,
    *,
    policy: bool = False,
    allow_legacy: bool = False,
    limits: Limits | None = None,
    budget: Budget | None = None,
    learn: bool = True,
    source: str = "",
) -> Admitted:
    """Return the admitted form of one assertion.

    *policy* says that it came over the trusted channel: no signature is needed and any authorizer
    may stand there.  Anything else is a credential and must carry a valid signature by its
    authorizer.  *allow_legacy* admits SHA-1, MD5, DSA and short RSA keys (rule R19).  *learn* is
    false for what a stranger hands in: its condition shapes are not remembered (rule R20).

    Raises :class:`MalformedAssertion`, :class:`BadSignature`, :class:`WeakKey`,
    :class:`TooLarge`, :class:`BudgetExhausted`.
    """
    limits = limits or (_LOCAL if policy else _STRANGERS)
    budget = budget or Budget(limits.steps)
    # 1. read the fields: of a tree too, its bytes are read, for they are what was signed
    raw = data.raw if isinstance(data, syntax.Assertion) else data
    reading = read(raw, _shapes, learn=learn, limits=limits, budget=budget)
    names = dict(reading.constants)
    # 2. resolve the authorizer
    written = fold(reading.authorizer, names)
    authorizer = None if written is None else _decoded(written, "Authorizer", reading)
    # 3. check the signature
    if policy:
        _check_unsigned(reading, authorizer)
    else:
        _check_signature(reading, names, written, allow_legacy=allow_legacy, limits=limits, budget=budget)
    # 4. decode the licensees
    trusted_by = _licensees(reading, names)
    needs_tree = authorizer is None or trusted_by is None
    # 5. name it
    function, constants, cost = _function(reading, names)
    admitted = Admitted(
        raw=reading.raw,
        identity=_identity(authorizer or "", reading.signed),
        policy=policy,
        authorizer=authorizer,
        trusted_by=trusted_by,
        function=function,
        constants=constants,
        cost=cost,
        source=source,
    )
    admitted.kept = reading.tree or (parse(raw, limits=limits, budget=budget) if needs_tree else None)
    return admitted


def _decoded(written: str, label: str, reading: Reading) -> str:
    """Return a principal's normal form, or say in which field it cannot be decoded."""
    try:
        return intern(normalise(written))
    except BadPrincipal as problem:
        text = reading.raw.decode("latin-1")
        fields, _ = split_fields(text)
        field = fields.get(label)
        raise malformed(
            text, field.at if field else 0, f"a principal in `{label}` cannot be decoded: {problem.message}", problem.mend, len(label)
        ) from None


def _check_unsigned(reading: Reading, authorizer: str | None) -> None:
    """A signature by something that is no key means nothing, and `POLICY` speaks without one."""
    if reading.signature is not None and (authorizer is None or not is_key(authorizer)):
        text = reading.raw.decode("latin-1")
        mend = "remove the Signature field: a policy is trusted because the operator keeps it"
        raise malformed(text, reading.signed_end, "this authorizer is no key and cannot sign", mend, len("Signature"))


def _check_signature(
    reading: Reading, names: dict[str, str], written: str | None, *, allow_legacy: bool, limits: Limits, budget: Budget
) -> None:
    if reading.signature is None:
        raise BadSignature("a credential has no Signature field", mend="sign it, or load it as a policy if you wrote it yourself")
    signature = fold(reading.signature, names)
    if written is None or signature is None:
        raise BadSignature("the authorizer or the signature of a credential depends on the request", mend="write the key itself")
    budget.spend(_SIGNATURE_STEPS)
    verify(reading.signed, signature, written, allow_legacy=allow_legacy, limits=limits)


def _licensees(reading: Reading, names: dict[str, str]) -> Trusted | None:
    """Return who is trusted, or ``None`` where that depends on the request."""

    def principal(text: syntax.Text) -> str:
        written = fold(text, names)
        if written is None:
            raise _DependsOnRequest
        return _decoded(written, "Licensees", reading)

    try:
        return resolve(reading.licensees, principal)
    except _DependsOnRequest:
        return None


class _DependsOnRequest(Exception):
    """A principal is named by an action attribute."""


def _function(reading: Reading, names: dict[str, str]) -> tuple[Function | None, Constants, int]:
    match reading.conditions:
        case None:
            return None, (), 1
        case Shaped() as shaped:
            return shaped.shape.function, shaped.constants(names), shaped.shape.cost
        case program:
            return *interpreted(program, names), _INTERPRETED * weight(program)


def _identity(authorizer: str, signed: bytes) -> bytes:
    """Return the credential id of rule R14; the length keeps authorizer and bytes apart."""
    head = authorizer.encode("latin-1")
    return hashlib.sha256(b"%d:%b%b" % (len(head), head, signed)).digest()


class Admissions:
    """A bounded memory of what was admitted, so that the same bytes are verified once.

    The key is channel, signature settings and digest (rule R20).  Only successes are remembered.
    """

    def __init__(self, size: int = 65_536, *, allow_legacy: bool = False) -> None:
        """Remember at most about *size* kB: a usual assertion has 1 kB, a large tree as many as it takes."""
        self._room = size
        self._allow_legacy = allow_legacy
        self._known: OrderedDict[tuple[bool, bool, bytes], Admitted] = OrderedDict()

    def admit(
        self,
        data: bytes,
        *,
        policy: bool = False,
        limits: Limits | None = None,
        budget: Budget | None = None,
        learn: bool = True,
        source: str = "",
    ) -> Admitted:
        """Return what :func:`admit` returns, remembered where these very bytes were admitted before."""
        key = (policy, self._allow_legacy, hashlib.sha256(data).digest())
        known = self._known.get(key)
        if known is not None:
            with suppress(KeyError):  # another thread may just have let go of it
                self._known.move_to_end(key)
            return known.found_at(source)
        admitted = admit(data, policy=policy, allow_legacy=self._allow_legacy, limits=limits, budget=budget, learn=learn, source=source)
        self._known[key] = admitted
        self._room -= _kilobytes(admitted)
        while self._room < 0:
            self._room += _kilobytes(self._known.popitem(last=False)[1])
        return admitted

    def __len__(self) -> int:
        """Return how many assertions are remembered."""
        return len(self._known)


def _kilobytes(admitted: Admitted) -> int:
    """Return what an admitted assertion takes, roughly: a node of a kept tree has about 100 bytes."""
    return 1 + (len(admitted.raw) >> 10) + (admitted.cost // 10 if admitted.kept else 0)


def refusal(error: HolderError) -> str:
    """Return the stable reason code of a refused assertion."""
    return "malformed" if isinstance(error, MalformedAssertion) else error.code


__all__ = ["POLICY", "Admissions", "Admitted", "Refused", "admit", "refusal"]
