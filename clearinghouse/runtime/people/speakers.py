"""Who speaks: principals that a door vouches for become the persons of the settings, each once (pure; rule R3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clearinghouse.clearing.cases import Approval
from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.request import LOCAL_USER, Request
from clearinghouse.clearing.vocabulary import Door, domain_of
from clearinghouse.errors import BadPrincipal
from clearinghouse.keynote.octets import from_octets, to_octets
from clearinghouse.keynote.principals import normalise
from clearinghouse.settings import Settings

_MEMBER = "xmpp-member:"
"""Begins what every user of one server shares: it says of nobody who they are."""


def person_named(settings: Settings, principal: str) -> str:
    """Return the name of the person who has *principal*; of a stranger, the principal in its normal form."""
    try:
        name = from_octets(normalise(to_octets(principal)))
    except BadPrincipal:
        name = principal
    found = settings.person_of(name)
    return name if found is None else found.name


def speakers_of(settings: Settings, principals: Iterable[str], *, envelope: bytes) -> tuple[Speaker, ...]:
    """Return the persons who signed *envelope*, in its order; several keys of one person are one speaker."""
    persons: dict[str, list[str]] = {}
    for principal in principals:
        persons.setdefault(person_named(settings, principal), []).append(principal)
    return tuple(Speaker(name, tuple(keys), Door.ENVELOPE, envelope=envelope) for name, keys in persons.items())


def together(speakers: Iterable[Speaker]) -> Speaker:
    """Return all *speakers* of one envelope as one, for what is no approval: the query counts one key of each, as of an approval."""
    every = tuple(speakers)
    keys = tuple(each.principals[0] for each in every)
    return Speaker(", ".join(each.person for each in every), keys, Door.ENVELOPE, envelope=every[0].envelope)


def approver(settings: Settings, approval: Approval) -> str:
    """Return the person who gave *approval* by the settings of today, which may name them otherwise than then (rule R3)."""
    names = (person_named(settings, each) for each in approval.principals if not each.startswith(_MEMBER))
    known = {each.name for each in settings.person}
    return next((name for name in names if name in known), approval.person)


def requester_people(settings: Settings, request: Request) -> frozenset[str]:
    """Return the persons behind *request*: none of them may approve it (rule R3)."""
    return frozenset(person_named(settings, each) for each in request.requesters if not each.startswith(_MEMBER))


def guises(settings: Settings, host: str) -> Iterator[Speaker]:
    """Yield every person as each door would know them: with each key, at each chat address on the word of *host*, on this machine."""
    for person in settings.person:
        yield from (Speaker(person.name, (key,), Door.ENVELOPE) for key in person.keys)
        if host:
            names = ((f"xmpp:{jid}", f"{_MEMBER}{domain_of(jid)}") for jid in person.jids)
            yield from (Speaker(person.name, each, Door.CHAT, host) for each in names)
        yield from (Speaker(person.name, (f"{LOCAL_USER}{user}",), Door.OPERATOR) for user in person.local)
