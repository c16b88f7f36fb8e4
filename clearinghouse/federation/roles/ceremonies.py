"""Key ceremonies: root metadata drafted, vouched for and signed by people who each hold one key (pure).

A draft holds the policy, and for each root and role a credential that the root has yet to sign.  A root signs
what is its own to sign, on its own machine; when enough of them have vouched for every role, the draft becomes
root metadata, which enough of them sign in turn.  A file goes round; no two keys are ever in one place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from math import comb
from types import MappingProxyType
from typing import Any, ClassVar, Final

from clearinghouse.clearing.wire import canonical, check_members, read_object, read_stamp, stamp
from clearinghouse.errors import ClearinghouseError, MalformedAssertion, PeerError
from clearinghouse.federation.published.documents import MAX_ROOT_BYTES, check_size
from clearinghouse.federation.published.payloads import community_of, digest_of, epoch_of, number_of, reading, texts_of
from clearinghouse.federation.published.roots import MAX_CREDENTIALS, Root, read_payload, written
from clearinghouse.federation.roles.entitlement import Entitlement
from clearinghouse.keynote import parse, syntax
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.octets import from_octets, to_octets
from clearinghouse.keynote.signing import Draft as Credential
from clearinghouse.keynote.signing import compose, sign
from clearinghouse.keynote.strings import quote
from clearinghouse.keynote.texts import fold

ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "table": "publish-table",
        "timestamp": "publish-timestamp",
        "revoker": "publish-revocations",
        "registrar": "publish-member",
        "grant": "publish-grant",
    }
)
"""Each role, and the operation that it is for."""

REQUIRED: Final = ("table", "timestamp", "revoker", "registrar")
"""Roles without which nothing can be published."""

MAX_WAYS: Final = 16
"""Sets of keys that may use one role credential, each of which it names (rule R13); 2 of 4 have 11."""

_FORMAT: Final = "clearinghouse-root-draft/1"
_DIMENSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "audience": 'audience >= "*" && audience < "{"',  # `*` and every name: digits, letters, hyphens and dots lie between
        "member": 'member >= "0" && member < "{"',
    }
)
_BOUND: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"table": ("audience",), "timestamp": ("audience",), "revoker": (), "registrar": ("member",), "grant": ("member",)}
)
_COMMUNITY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_SERIAL: Final = re.compile(r"serial: ([0-9a-f]{32})")
_UNTIL: Final = re.compile(r'date < "([0-9]{8})"')
_OPERATION: Final = re.compile(r'operation == "([a-z-]+)"')


class CeremonyIncomplete(PeerError):
    """Not enough roots have vouched for a role, so no root metadata can be made of the draft."""

    code: ClassVar[str] = "ceremony-incomplete"


class NothingToSign(PeerError):
    """The key has signed what is its own to sign in the file, or nothing in it is."""

    code: ClassVar[str] = "nothing-to-sign"


class HandWritten(PeerError):
    """The root metadata was not made by these tools, so its next generation cannot be drafted from it."""

    code: ClassVar[str] = "hand-written-root"


class WrongCeremony(PeerError):
    """Files that do not belong together, or a plan that nobody could ever meet."""

    code: ClassVar[str] = "wrong-ceremony"


@dataclass(frozen=True, slots=True)
class Keyholders:
    """*needed* of the *keys*, principals in normal form, have to sign together."""

    keys: tuple[str, ...]
    needed: int = 1

    def licensees(self) -> str:
        """Return them as a Licensees field says it."""
        names = [quote(to_octets(each)) for each in self.keys]
        return names[0] if len(names) == 1 else f"{self.needed}-of({', '.join(names)})"


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is to hold which role in one generation; ``roles`` maps the names in `ROLES`."""

    community: str
    generation: int
    epoch: int
    issued: datetime
    expires: datetime
    roots: Keyholders
    roles: Mapping[str, Keyholders]


@dataclass(frozen=True, slots=True)
class Draft:
    """Root metadata in the making: ``root`` has the credentials, signed or not; ``previous`` is the digest of the payload before it."""

    root: Root
    previous: str = ""


# -- drafting -----------------------------------------------------------------------------------------------


def drafted(plan: Plan, serial: Callable[[], str], previous: str = "") -> Draft:
    """Return the draft of *plan*; *serial* gives 32 hexadecimal digits that are new each time.  Raises `WrongCeremony`."""
    _check(plan)
    credentials = tuple(
        credential_text(plan, root, name, serial(), _last_day(plan)) for name, _ in sorted(plan.roles.items()) for root in plan.roots.keys
    )
    root = Root(plan.community, plan.generation, plan.epoch, plan.issued, plan.expires, (policy_text(plan),), credentials)
    return Draft(root, previous)


def policy_text(plan: Plan) -> str:
    """Return the one POLICY assertion of root metadata: the roots together may publish everything."""
    community = f'table_community == "{plan.community}"'
    operations = " || ".join(f'operation == "{each}"' for each in ROLES.values())
    return (
        f'Comment: root of {plan.community}\nAuthorizer: "POLICY"\nLicensees: {plan.roots.licensees()}\n'
        f'Conditions: operation == "publish-root" && {community} -> "allow";\n'
        f'    ({operations})\n    && {community} && epoch == "{plan.epoch}" -> "allow";\n'
    )


def credential_text(plan: Plan, root: str, role: str, serial: str, until: datetime) -> str:
    """Return what *root* is to sign for *role*: it ends on the day *until*, and cannot be passed on (rule R13)."""
    tests = [f'table_community == "{plan.community}"', f'epoch == "{plan.epoch}"', *(_DIMENSIONS[each] for each in _BOUND[role])]
    draft = Credential(
        authorizer=root,
        licensees=plan.roles[role].licensees(),
        operation=ROLES[role],
        conditions=" && ".join(tests),
        until=until.date(),
        comment=f"{role} of {plan.community}",
        serial=serial,
    )
    return compose(draft).decode("ascii")


def _last_day(plan: Plan) -> datetime:
    """Return the first day on which the role credentials no longer hold: the one after the root metadata's last."""
    return plan.expires + timedelta(days=1)


def _check(plan: Plan) -> None:
    if not _COMMUNITY.fullmatch(plan.community):
        raise WrongCeremony(
            "the community's name has other characters than letters, digits, dots, hyphens and underscores", mend="rename it"
        )
    for what, holders in (("root", plan.roots), *plan.roles.items()):
        if not 1 <= holders.needed <= len(holders.keys) or len(set(holders.keys)) != len(holders.keys):
            text = f"{holders.needed} of {len(set(holders.keys))} {what} keys are to sign together"
            raise WrongCeremony(text, mend="name each key once, and want at least one and at most all")
        if sum(comb(len(holders.keys), size) for size in range(holders.needed, len(holders.keys) + 1)) > MAX_WAYS and what != "root":
            text = f"{holders.needed} of {len(holders.keys)} {what} keys may sign in too many ways"
            raise WrongCeremony(text, mend=f"name fewer keys: at most {MAX_WAYS} sets of them are written out, as of 2 of 4")
    missing = [each for each in REQUIRED if each not in plan.roles]
    if missing:
        raise WrongCeremony(f"nobody holds the role `{missing[0]}`", mend=f"name a key for each of {', '.join(REQUIRED)}")
    held = [(what, key) for what, holders in (("root", plan.roots), *plan.roles.items()) for key in holders.keys]
    for what, key in held:
        others = [other for other, each in held if each == key and other != what]
        if others and "root" in {what, *others}:
            raise WrongCeremony(
                f"a key is to be root and {others[0] if what == 'root' else what}", mend="a root key signs root metadata only"
            )


# -- drafts as files ----------------------------------------------------------------------------------------


def draft_bytes(draft: Draft) -> bytes:
    """Return *draft* as a file."""
    root = draft.root
    told: dict[str, Any] = {
        "community": root.community,
        "credentials": list(root.credentials),
        "draft": _FORMAT,
        "epoch": root.epoch,
        "expires": stamp(root.expires),
        "generation": root.generation,
        "issued": stamp(root.issued),
        "policy": list(root.policy),
        "previous": draft.previous,
    }
    return canonical(told) + b"\n"


def is_draft(raw: bytes) -> bool:
    """Say whether *raw* is the file of a draft, and no sealed root metadata."""
    return f'"draft":"{_FORMAT}"'.encode() in raw


def read_draft(raw: bytes) -> Draft:
    """Return the draft in the file *raw*; raises `EndlessData`, `MalformedDocument`."""
    check_size(raw, MAX_ROOT_BYTES, "the draft")
    with reading("the draft", mend="begin the ceremony again"):
        found = read_object(raw)
        check_members(found, _MEMBERS)
        root = Root(
            community=community_of(found),
            generation=number_of(found, "generation"),
            epoch=epoch_of(found),
            issued=read_stamp(found["issued"]),
            expires=read_stamp(found["expires"]),
            policy=texts_of(found, "policy"),
            credentials=texts_of(found, "credentials"),
        )
        return Draft(read_payload(written(root)), digest_of(found, "previous", empty=True))


_MEMBERS: Final[Mapping[str, type]] = {
    **dict.fromkeys(("community", "draft", "expires", "issued", "previous"), str),
    **dict.fromkeys(("epoch", "generation"), int),
    **dict.fromkeys(("credentials", "policy"), list),
}


# -- vouching -----------------------------------------------------------------------------------------------


def vouched(draft: Draft, key: PrivateKey) -> Draft:
    """Return *draft* with every credential signed that is *key*'s to sign; raises `NothingToSign`."""
    texts = [_signed(text, key) for text in draft.root.credentials]
    if tuple(texts) == draft.root.credentials:
        raise NothingToSign("there is no credential for this key to sign", mend="it has signed them already, or is none of the roots' keys")
    return replace(draft, root=replace(draft.root, credentials=tuple(texts)))


def combined(drafts: tuple[Draft, ...]) -> Draft:
    """Return one draft with everything that was signed in any of *drafts*, which are copies of one; raises `WrongCeremony`."""
    first, *others = drafts
    texts = {_unsigned(text): text for text in first.root.credentials}
    for each in others:
        plain = replace(each.root, credentials=())
        if plain != replace(first.root, credentials=()) or [*map(_unsigned, each.root.credentials)] != list(texts):
            raise WrongCeremony("these are drafts of different root metadata", mend="combine copies of one draft")
        texts.update((_unsigned(text), text) for text in each.root.credentials if _is_signed(text))
    return replace(first, root=replace(first.root, credentials=tuple(texts.values())))


def finished(draft: Draft) -> Root:
    """Return the root metadata that *draft* has become, without what nobody signed; raises `CeremonyIncomplete`."""
    root = replace(draft.root, credentials=tuple(filter(_is_signed, draft.root.credentials)))
    rights = Entitlement.of(root)
    for role, holders in roles_of(draft.root).items():
        if not holds(rights, role, holders):
            signed = sum(1 for text in root.credentials if _role_of(text) == role)
            raise CeremonyIncomplete(f"{signed} of the roots have vouched for `{role}`, too few", mend="have another root sign the draft")
    return root


def holds(rights: Entitlement, role: str, holders: Keyholders) -> bool:
    """Say whether *holders*, all of them, may do what *role* is for, at the moment when the root metadata was issued."""
    member = "member.example" if "member" in _BOUND[role] else ""
    return rights.allows(ROLES[role], holders.keys, now=rights.root.issued, member=member)


def _signed(text: str, key: PrivateKey) -> str:
    if _is_signed(text) or _authorizer(text) != key.principal:
        return text
    return sign(text.encode("ascii"), key).decode("ascii")


# -- reading what was made ----------------------------------------------------------------------------------


def roles_of(root: Root) -> dict[str, Keyholders]:
    """Return who holds which role by the credentials of *root*, as these tools write them."""
    found: dict[str, Keyholders] = {}
    for text in root.credentials:
        role = _role_of(text)
        if role is not None and role not in found:
            found[role] = _holders(_tree(text))
    return found


def roots_of(root: Root) -> Keyholders:
    """Return who the roots are by the first policy of *root*."""
    return _holders(_tree(root.policy[0]))


def plan_of(root: Root) -> Plan:
    """Return the plan that *root* was made from; raises `HandWritten` for one that these tools have not made."""
    try:
        plan = Plan(root.community, root.generation, root.epoch, root.issued, root.expires, roots_of(root), roles_of(root))
        same = root.policy == (policy_text(plan),) and all(_is_ours(plan, text) for text in root.credentials)
    except ClearinghouseError:
        raise _hand_written() from None
    if not same:
        raise _hand_written()
    return plan


def _hand_written() -> HandWritten:
    return HandWritten("this root metadata was not made by these tools", mend="write the next generation as you wrote this one")


def _is_ours(plan: Plan, text: str) -> bool:
    role, serial, until = _role_of(text), _SERIAL.search(text), _UNTIL.search(text)
    if role is None or serial is None or until is None:
        return False
    last = datetime.strptime(until[1] + "+0000", "%Y%m%d%z")
    return credential_text(plan, _authorizer(text), role, serial[1], last) == _unsigned(text)


@lru_cache(maxsize=MAX_CREDENTIALS)
def _tree(text: str) -> syntax.Assertion:
    """Return the tree of an assertion of root metadata; each is looked at from several sides."""
    return parse(text.encode("utf-8"))


def _role_of(text: str) -> str | None:
    found = _OPERATION.search(text)
    return next((role for role, operation in ROLES.items() if found and operation == found[1]), None)


def _holders(tree: syntax.Assertion) -> Keyholders:
    names = dict(tree.constants)
    match tree.licensees:
        case syntax.Principal(name):
            return Keyholders((_named(name, names),))
        case syntax.Threshold(k, found):
            return Keyholders(tuple(_named(each.name, names) for each in found), k)
        case _:
            raise MalformedAssertion("the licensees are neither one key nor K of several", mend="write `2-of(...)`")


def _named(name: syntax.Text, names: dict[str, str]) -> str:
    return from_octets(fold(name, names) or "")


def _authorizer(text: str) -> str:
    tree = _tree(text)
    return _named(tree.authorizer, dict(tree.constants))


def _is_signed(text: str) -> bool:
    return _tree(text).signature is not None


def _unsigned(text: str) -> str:
    """Return *text* without its Signature field, which is the last one."""
    return text.partition("\nSignature: ")[0].rstrip("\n") + "\n"


def vouchers_of(root: Root) -> dict[str, tuple[str, ...]]:
    """Return which roots have signed a credential for each role."""
    found: dict[str, tuple[str, ...]] = {}
    for text in filter(_is_signed, root.credentials):
        if role := _role_of(text):
            found[role] = (*found.get(role, ()), _authorizer(text))
    return found


def unsigned_by(root: Root) -> Iterator[str]:
    """Yield the principals of the roots that have not signed all that is theirs in a draft's *root*."""
    yield from dict.fromkeys(_authorizer(text) for text in root.credentials if not _is_signed(text))
