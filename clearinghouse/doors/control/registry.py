"""What the command line asks about members and their agents: a table of questions and acts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from clearinghouse.clearing.people import Changed, Speaker
from clearinghouse.clearing.vocabulary import shown
from clearinghouse.doors.control.shapes import changed_members
from clearinghouse.errors import BadSettings, MalformedRequest
from clearinghouse.federation.membership.enrolment import WORDS
from clearinghouse.federation.membership.registry import Draft, Enrolled, Registry
from clearinghouse.federation.published.members import as_members, read_payload
from clearinghouse.keynote import encoding
from clearinghouse.keynote.encoding import Encoding

MAX_MEMBERS: Final = 10_000
"""Members in one answer: 1 kB each makes 10 MB; whoever wants more asks for those after the last."""

Answer = dict[str, Any]
Words = Mapping[str, str]
Question = Callable[[Registry, Speaker, Words], Awaitable[Answer]]


async def about_members(registry: Registry | None, who: Speaker, do: str, words: Words) -> Answer:
    """Return the answer to one request of this table; raises `BadSettings` where there is no federation."""
    if registry is None:
        raise BadSettings("the service has no federation", mend="add [federation] to its settings")
    known, question = ABOUT_MEMBERS[do]
    if unknown := [name for name in words if name not in known]:
        raise MalformedRequest(f"`{shown(unknown[0])}` says nothing to {do}", mend=f"say {', '.join(known) or 'nothing'}")
    return await question(registry, who, words)


def enrolled(found: Changed) -> Answer:
    """Return what became of a record."""
    waits = found.waits_for if isinstance(found, Enrolled) else ""
    return {"changed": {**changed_members(found), "waits_for": waits}}


def draft_members(draft: Draft) -> Answer:
    """Return a draft, with the record that it would become."""
    return {
        "id": draft.id,
        "source": draft.source.value,
        "by": draft.by,
        "at": draft.at.isoformat(),
        "expires": draft.expires.isoformat(),
        "waits_for": draft.why,
        "accepted": draft.accepted,
        "payload": encoding.encode(draft.payload, Encoding.BASE64),
        "record": as_members(read_payload(draft.payload)),
    }


def _acting(act: str) -> Question:
    async def question(registry: Registry, who: Speaker, words: Words) -> Answer:
        said = {name: text for name, text in words.items() if name != "dry_run"}
        return enrolled(await registry.enrol(who, act, said, dry_run=words.get("dry_run") == "yes"))

    return question


async def _accept(registry: Registry, who: Speaker, words: Words) -> Answer:
    return enrolled(await registry.accept(who, words.get("id", ""), dry_run=words.get("dry_run") == "yes"))


async def _drop(registry: Registry, who: Speaker, words: Words) -> Answer:
    return enrolled(await registry.drop(who, words.get("id", "")))


async def _signed(registry: Registry, _: Speaker, words: Words) -> Answer:
    """Take what the registrar signed: it speaks for its signers, not for whoever carries it here."""
    try:
        sealed = encoding.decode(words.get("record", ""), Encoding.BASE64)
    except ValueError:
        raise MalformedRequest("the record is not base64 in its one spelling", mend="send it with `clearinghouse member sign`") from None
    return enrolled(await registry.signed(sealed))


async def _members(registry: Registry, who: Speaker, words: Words) -> Answer:
    """Return members in the order of their domains, after one of them or only one, and as many as an answer may have."""
    found, drafts = registry.members(who), registry.drafts(who)
    if name := words.get("domain", ""):
        found = [each for each in found if each["domain"] == name]
        drafts = [each for each in drafts if each.domain == name]
    after = [each for each in found if each["domain"] > words.get("after", "")]
    told = {"members": after[:MAX_MEMBERS], "count": len(found), "more": len(after) > MAX_MEMBERS}
    return {**told, "drafts": [draft_members(each) for each in drafts]}


async def _fleet(registry: Registry, who: Speaker, _: Words) -> Answer:
    return {"agents": list(registry.fleet(who)), "published": dict(registry.published())}


async def _published(registry: Registry, _: Speaker, __: Words) -> Answer:
    return {"published": dict(registry.published())}


ABOUT_MEMBERS: Final[Mapping[str, tuple[tuple[str, ...], Question]]] = {
    "members": (("domain", "after"), _members),
    "member-add": ((*WORDS, "dry_run"), _acting("add")),
    "member-change": ((*WORDS, "dry_run"), _acting("change")),
    "member-remove": ((*WORDS, "dry_run"), _acting("remove")),
    "member-accept": (("id", "dry_run"), _accept),
    "member-drop": (("id",), _drop),
    "member-signed": (("record",), _signed),
    "fleet": ((), _fleet),
    "published": ((), _published),
}
"""What can be asked about members: the words that each takes, and who answers."""
