"""What a person asks the office to do, as data: the body of a signed envelope of each kind (rule R18; pure).

======================= =======================================================================
kind                    members of the body; those in brackets may be left out
======================= =======================================================================
``approve``             ``case``, ``shown``, ``subject``, ``topic``, [``seconds``]
``deny``                ``case``, [``reason``]
``end-grant``           ``grant``, [``reason``], [``may-ask-again``: ``yes`` or ``no``]
``revoke``              ``what`` (a `RevocationKind`), ``name``, [``reason``]
``lift``                ``revocation``
``credential-add``      ``credential``: its text
``credential-withdraw`` ``credential``: its id
======================= =======================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final, assert_never

from clearinghouse.clearing.cases import RevocationKind
from clearinghouse.clearing.dsse import MalformedEnvelope
from clearinghouse.clearing.vocabulary import shown
from clearinghouse.errors import TooLarge

MAX_REASON_CHARACTERS: Final = 1_000
"""Characters of a reason; it is shown whole in a chat message and in the log."""

_is_seconds = re.compile(r"[1-9][0-9]{0,8}").fullmatch
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "approve": ("case", "shown", "subject", "topic"),
        "deny": ("case",),
        "end-grant": ("grant",),
        "revoke": ("what", "name"),
        "lift": ("revocation",),
        "credential-add": ("credential",),
        "credential-withdraw": ("credential",),
    }
)
_OPTIONAL: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"approve": ("seconds",), "deny": ("reason",), "end-grant": ("reason", "may-ask-again"), "revoke": ("reason",)}
)


@dataclass(frozen=True, slots=True)
class Approve:
    """Count my yes to this case; *shown* is the digest of what I saw, *subject* and *topic* what I read there."""

    case: str
    shown: str
    subject: str
    topic: str
    period: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Deny:
    """End this case with a no."""

    case: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EndGrant:
    """End this grant now; its holder is barred unless it *may_ask_again*."""

    grant: str
    reason: str = ""
    may_ask_again: bool = False


@dataclass(frozen=True, slots=True)
class Revoke:
    """Revoke for good; *name* is as in `Revocation`."""

    what: RevocationKind
    name: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Lift:
    """Lift the bar on a holder."""

    revocation: str


@dataclass(frozen=True, slots=True)
class AddCredential:
    """Let this credential count."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class WithdrawCredential:
    """Let this credential, which was added at run time, not count any more."""

    id: str


Act = Approve | Deny | EndGrant | Revoke | Lift | AddCredential | WithdrawCredential


def written_act(act: Act) -> tuple[str, dict[str, str]]:
    """Return the kind and the body that say *act*; what is empty is left out."""
    match act:
        case Approve(case, digest, subject, topic, period):
            seconds = "" if period is None else str(int(period.total_seconds()))
            found = "approve", {"case": case, "shown": digest, "subject": subject, "topic": topic, "seconds": seconds}
        case Deny(case, reason):
            found = "deny", {"case": case, "reason": reason}
        case EndGrant(grant, reason, again):
            found = "end-grant", {"grant": grant, "reason": reason, "may-ask-again": "yes" if again else ""}
        case Revoke(what, name, reason):
            found = "revoke", {"what": what.value, "name": name, "reason": reason}
        case Lift(revocation):
            found = "lift", {"revocation": revocation}
        case AddCredential(raw):
            found = "credential-add", {"credential": _text(raw)}
        case WithdrawCredential(identity):
            found = "credential-withdraw", {"credential": identity}
        case _:
            assert_never(act)
    kind, body = found
    return kind, {name: value for name, value in body.items() if value or name in _REQUIRED[kind]}


def read_act(kind: str, body: Mapping[str, str]) -> Act:
    """Return what *body* asks for; raises `MalformedEnvelope` for another kind, a member too few or too many, and `TooLarge`."""
    if kind not in _READERS:
        raise _malformed(f"`{shown(kind)}` is nothing that can be asked for", f"ask for one of {', '.join(_READERS)}")
    known = {*_REQUIRED[kind], *_OPTIONAL.get(kind, ())}
    if missing := [name for name in _REQUIRED[kind] if name not in body]:
        raise _malformed(f"a request to {kind} says nothing of `{missing[0]}`", "add it")
    if unknown := [name for name in body if name not in known]:
        raise _malformed(f"a request to {kind} has no `{shown(unknown[0])}`", f"its members are {', '.join(sorted(known))}")
    if len(body.get("reason", "")) > MAX_REASON_CHARACTERS:
        raise TooLarge("the reason is too long", mend=f"write at most {MAX_REASON_CHARACTERS} characters")
    return _READERS[kind](body)


def _approve(body: Mapping[str, str]) -> Approve:
    return Approve(body["case"], body["shown"], body["subject"], body["topic"], _period(body.get("seconds")))


def _period(seconds: str | None) -> timedelta | None:
    if seconds is None:
        return None
    if not _is_seconds(seconds):
        raise _malformed("`seconds` is no length of time", "write a whole number, at least 1")
    return timedelta(seconds=int(seconds))


def _end_grant(body: Mapping[str, str]) -> EndGrant:
    again = body.get("may-ask-again", "no")
    if again not in {"yes", "no"}:
        raise _malformed("`may-ask-again` is neither `yes` nor `no`", "say one of them")
    return EndGrant(body["grant"], body.get("reason", ""), again == "yes")


def _revoke(body: Mapping[str, str]) -> Revoke:
    try:
        what = RevocationKind(body["what"])
    except ValueError:
        raise _malformed(f"nothing is revoked as `{shown(body['what'])}`", f"it is one of {', '.join(RevocationKind)}") from None
    return Revoke(what, body["name"], body.get("reason", ""))


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _malformed(f"the credential is not UTF-8 at byte {error.start}", "put its file into the folder of credentials") from None


_READERS: Final[Mapping[str, Callable[[Mapping[str, str]], Act]]] = MappingProxyType(
    {
        "approve": _approve,
        "deny": lambda body: Deny(body["case"], body.get("reason", "")),
        "end-grant": _end_grant,
        "revoke": _revoke,
        "lift": lambda body: Lift(body["revocation"]),
        "credential-add": lambda body: AddCredential(body["credential"].encode("utf-8", "surrogatepass")),
        "credential-withdraw": lambda body: WithdrawCredential(body["credential"]),
    }
)


def _malformed(fact: str, mend: str) -> MalformedEnvelope:
    return MalformedEnvelope(fact, mend=mend)
