"""From one request to the office, and back to one answer: a table of what can be asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, assert_never

import structlog

from clearinghouse.clearing.acts import (
    Act,
    AddCredential,
    Approve,
    Deny,
    EndGrant,
    Lift,
    Revoke,
    WithdrawCredential,
    read_act,
)
from clearinghouse.clearing.people import Changed, Office, Ruling, Speaker, WrongCase
from clearinghouse.clearing.vocabulary import shown
from clearinghouse.clearing.wire import read_object
from clearinghouse.doors.control.registry import ABOUT_MEMBERS, about_members
from clearinghouse.doors.control.shapes import (
    case_members,
    changed_members,
    credential_members,
    grant_members,
    revocation_members,
    ruling_members,
)
from clearinghouse.errors import ClearinghouseError, InternalError, MalformedRequest
from clearinghouse.federation.membership.registry import Registry
from clearinghouse.keynote import encoding
from clearinghouse.keynote.encoding import Encoding

log = structlog.get_logger(__name__)

MAX_LISTED: Final = 10_000
"""Cases, grants and the like in one answer; the newest, and how many there are is said: 1 kB each makes 10 MB."""

Answer = dict[str, Any]
Words = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asking:
    """Who stands behind the door: the office, and ``status``, the members that say how the service is.

    ``registry`` is where members are enrolled, where there is a federation.
    """

    office: Office
    status: Callable[[], Mapping[str, Any]]
    registry: Registry | None = None

    async def answered(self, who: Speaker, line: bytes) -> Answer:
        """Return the answer to one line, whatever it is; a mistake of ours is *no answer*, and in our log."""
        try:
            do, words = read_question(line)
            return {"ok": True, **await self._asked(who, do, words)}
        except ClearinghouseError as error:
            return refused(error)
        except Exception as error:
            log.exception("control_failed")
            return refused(InternalError(f"the service failed ({type(error).__name__})", mend="its log has the trace; report it"))

    async def _asked(self, who: Speaker, do: str, words: Words) -> Answer:
        if do in _QUESTIONS:
            members, question = _QUESTIONS[do]
            if unknown := [name for name in words if name not in members]:
                raise MalformedRequest(f"`{shown(unknown[0])}` says nothing to {do}", mend=f"say {', '.join(members) or 'nothing'}")
            return await question(self, who, words)
        if do in ABOUT_MEMBERS:
            return await about_members(self.registry, who, do, words)
        dry_run = words.get("dry_run") == "yes"
        return await perform(self.office, who, read_act(do, {name: text for name, text in words.items() if name != "dry_run"}), dry_run)


def refused(error: ClearinghouseError) -> Answer:
    """Return the answer that says *error*; its exit status goes with it, since the other side does not know the class."""
    return {"ok": False, "error": error.as_json(), "exit": error.exit_code}


def read_question(line: bytes) -> tuple[str, Words]:
    """Return what a line asks for, and with which words; raises `MalformedRequest`."""
    try:
        found = read_object(line)
    except ValueError as error:
        raise MalformedRequest(f"the request {error}", mend="send one JSON object a line") from None
    do, words = found.get("do"), found.get("with", {})
    if not isinstance(do, str) or not isinstance(words, dict) or not all(isinstance(each, str) for each in words.values()):
        raise MalformedRequest("the request is no request", mend='send {"do": NAME, "with": {NAME: TEXT, ...}}')
    return do, words


# -- acts ---------------------------------------------------------------------------------------------


async def perform(office: Office, who: Speaker, act: Act, dry_run: bool) -> Answer:  # noqa: FBT001 - of the request
    """Let *who* do *act*; with *dry_run* say what it would change, for acts that change what others have."""
    if dry_run and not isinstance(act, Revoke | AddCredential | WithdrawCredential):
        raise MalformedRequest("this cannot be tried without doing it", mend="leave `--dry-run` out")
    match act:
        case Approve():
            return outcome(await _approved(office, who, act))
        case Deny():
            return outcome(await office.deny(who, act.case, reason=act.reason))
        case EndGrant():
            return outcome(await office.end_grant(who, act.grant, reason=act.reason, may_ask_again=act.may_ask_again))
        case Revoke():
            return outcome(await office.revoke(who, act.what, act.name, reason=act.reason, dry_run=dry_run))
        case Lift():
            return {"revocation": revocation_members(await office.lift(who, act.revocation))}
        case AddCredential():
            return outcome(await office.add_credential(who, act.raw, dry_run=dry_run))
        case WithdrawCredential():
            return outcome(await office.withdraw_credential(who, act.id, dry_run=dry_run))
        case _:
            assert_never(act)


async def _approved(office: Office, who: Speaker, act: Approve) -> Ruling:
    """Approve what *who* says that it has seen, word for word, as of a signed approval."""
    case = await office.case(who, act.case)
    if (act.subject, act.topic) != (case.subject, case.topic):
        raise WrongCase(f"case {case.id[:8]} is about another subject or topic", mend="look at it, and approve what it is about")
    if not act.shown:
        raise WrongCase("the request does not say what was shown", mend="put the digest of the case into `shown`")
    return await office.approve(who, case.id, shown=act.shown, period=act.period)


def outcome(found: Ruling | Changed) -> Answer:
    """Return what came of an act."""
    match found:
        case Ruling():
            return {"ruling": ruling_members(found)}
        case Changed():
            return {"changed": changed_members(found)}
        case _:
            assert_never(found)


# -- questions ----------------------------------------------------------------------------------------

Question = Callable[[Asking, Speaker, Words], Awaitable[Answer]]
_Thing = TypeVar("_Thing")


def _listed(name: str, found: Sequence[_Thing], members: Callable[[_Thing], Answer]) -> Answer:
    return {name: [members(each) for each in found[-MAX_LISTED:]], "count": len(found)}


async def _pending(asking: Asking, who: Speaker, _: Words) -> Answer:
    return _listed("cases", await asking.office.pending(who), case_members)


async def _case(asking: Asking, who: Speaker, words: Words) -> Answer:
    return {"case": case_members(await asking.office.case(who, words.get("id", "")))}


async def _grants(asking: Asking, who: Speaker, words: Words) -> Answer:
    return _listed("grants", await asking.office.grants(who, ended=words.get("ended") == "yes"), grant_members)


async def _explain(asking: Asking, who: Speaker, words: Words) -> Answer:
    return {"explanation": await asking.office.explain(who, words.get("id", ""))}


async def _revocations(asking: Asking, who: Speaker, _: Words) -> Answer:
    return _listed("revocations", await asking.office.revocations(who), revocation_members)


async def _credentials(asking: Asking, who: Speaker, _: Words) -> Answer:
    return _listed("credentials", await asking.office.credentials(who), credential_members)


async def _submit(asking: Asking, _: Speaker, words: Words) -> Answer:
    """Take what somebody signed: it speaks for its signers, not for whoever carries it here."""
    try:
        envelope = encoding.decode(words.get("envelope", ""), Encoding.BASE64)
    except ValueError:
        raise MalformedRequest("the envelope is not base64 in its one spelling", mend="send it with `clearinghouse submit`") from None
    return outcome(await asking.office.submit(envelope))


async def _status(asking: Asking, _: Speaker, __: Words) -> Answer:
    return {"status": dict(asking.status())}


_QUESTIONS: Final[Mapping[str, tuple[tuple[str, ...], Question]]] = {
    "pending": ((), _pending),
    "case": (("id",), _case),
    "grants": (("ended",), _grants),
    "explain": (("id",), _explain),
    "revocations": ((), _revocations),
    "credentials": ((), _credentials),
    "submit": (("envelope",), _submit),
    "status": ((), _status),
}
"""What changes nothing, and envelopes: the words that each takes, and who answers."""
