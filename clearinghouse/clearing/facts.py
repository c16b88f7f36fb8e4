"""Step 2: the request, what the door saw, and the clock become action attributes with provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clearinghouse.clearing.request import Place, Request, checked
from clearinghouse.clearing.vocabulary import (
    COMMON,
    EVERYTHING,
    Attribute,
    Door,
    Operation,
    Origin,
    domain_of,
    is_canonical,
    operation_named,
    shown,
)
from clearinghouse.errors import MalformedRequest
from clearinghouse.keynote.clock import clock_attributes

LONGEST_VALIDITY = 366 * 24 * 3600
"""Seconds that a grant may be asked for; a year is the longest that any audit regime we know trusts."""


class FactMissing(MalformedRequest):
    """An attribute of the operation that the door or the store should have set is absent (rule R7)."""

    code = "fact-missing"


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the proof may read: attributes, where each came from, and who asks at which door.

    ``tied`` is as in `Request`.
    """

    operation: Operation
    door: Door
    requesters: tuple[str, ...]
    attributes: Mapping[str, str]
    origins: Mapping[str, Origin]
    tied: Mapping[str, str] = field(default_factory=dict)


def gather(request: Request, *, community: str, now: datetime) -> Facts:
    """Return the facts of *request*.

    Raises :class:`MalformedRequest` for an unknown operation, a door that cannot ask it, a claim that
    touches a reserved name or is none of the operation's, a value that is not canonical, or facts that
    contradict each other; :class:`FactMissing`.
    """
    operation = operation_named(request.operation)
    if request.door not in operation.doors():
        raise MalformedRequest(f"`{operation.name}` cannot be asked at the {request.door} door", mend="ask where it is decided")
    if request.credentials and request.door is not Door.ENVELOPE:
        raise MalformedRequest("credentials came without a signed request", mend="send them inside a signed envelope")
    _check_claims(request.claims, operation)
    _check_sources(request, operation)
    attributes = {
        **_defaults(operation, request.door),
        **request.claims,
        **request.known,
        **request.observed,
        **clock_attributes(now),
        "operation": operation.name,
        "community": community,
        "ValidityPeriod": str(_validity(request.validity)),
    }
    _check_values(attributes, operation, request.door)
    _check_agreement(attributes, request.place)
    return Facts(operation, request.door, checked(request.requesters), attributes, _origins(attributes, operation), request.tied)


def _check_claims(claims: Mapping[str, str], operation: Operation) -> None:
    """A claim with a reserved name, or one that resembles it, makes the request malformed (rule R6)."""
    for name in claims:
        reserved = operation.reserved_like(name)
        if reserved is not None:
            raise MalformedRequest(
                f"the claim `{shown(name)}` uses the reserved name `{reserved}`", mend="requesters cannot set it: leave it out"
            )
        if name not in operation.attributes:
            raise MalformedRequest(f"`{shown(name)}` is not an attribute of `{operation.name}`", mend="see the attributes reference")


def _check_sources(request: Request, operation: Operation) -> None:
    """Each fact comes from where the vocabulary says: a door does not state what is ours, nor speak for the requester (rule R6)."""
    for given, origin in ((request.observed, Origin.OBSERVED), (request.known, Origin.OURS)):
        for name in given:
            attribute = operation.attributes.get(name)
            if attribute is None or attribute.origin is not origin or name in COMMON:
                raise MalformedRequest(f"`{shown(name)}` is nothing {origin} of `{operation.name}`", mend="see the attributes reference")


def _defaults(operation: Operation, door: Door) -> dict[str, str]:
    """Return what absent claims mean: `*` for a parameter, the empty text for a statement."""
    return {each.name: each.default for each in operation.attributes.values() if each.default is not None and door in each.doors}


def _validity(seconds: int | None) -> int:
    if seconds is not None and not 1 <= seconds <= LONGEST_VALIDITY:
        raise MalformedRequest(f"a grant for {seconds} seconds is asked for", mend=f"ask for 1 to {LONGEST_VALIDITY} seconds")
    return LONGEST_VALIDITY if seconds is None else seconds


def _check_values(attributes: Mapping[str, str], operation: Operation, door: Door) -> None:
    """Every observed and own attribute is set, and every value is canonical (rule R7)."""
    for attribute in operation.attributes.values():
        if door not in attribute.doors:
            continue
        value = attributes.get(attribute.name)
        if value is None or (value == "" and attribute.origin.reserved):
            raise FactMissing(f"`{attribute.name}` is not known", mend=f"the {door} door must supply it")
        if value == "" and attribute.origin is Origin.PARAMETER:
            raise MalformedRequest(
                f"`{attribute.name}` is asked for and empty", mend=f"leave it out, or write `{EVERYTHING}`, to ask for all"
            )
        if not _well_formed(attribute, value):
            raise MalformedRequest(
                f"`{attribute.name}` is not {attribute.kind}", mend=f"write it as the attributes reference says: {attribute.meaning}"
            )
    for name in attributes:
        if door not in operation.attributes[name].doors:
            raise MalformedRequest(f"`{name}` cannot be supplied at the {door} door for `{operation.name}`", mend="leave it out")


def _well_formed(attribute: Attribute, value: str) -> bool:
    return value == attribute.default or is_canonical(attribute.kind, value)


def _check_agreement(attributes: Mapping[str, str], place: Place | None) -> None:
    """What is decided about is one thing: a platform of its domain, and the place where the answer goes (rule R5)."""
    jid, domain = attributes.get("jid", EVERYTHING), attributes.get("domain", EVERYTHING)
    if EVERYTHING not in {jid, domain} and domain != domain_of(jid):
        raise MalformedRequest(f"`{shown(jid)}` is no platform of `{shown(domain)}`", mend="name the platform's own domain")
    if place is not None and not _is_place_of(place, attributes):
        raise MalformedRequest(
            "the answer would go to another subscription than the one asked for", mend="the door must name one subscription"
        )


def _is_place_of(place: Place, attributes: Mapping[str, str]) -> bool:
    """Compare what can be compared here: a subscriber with other letters than ASCII is written anew by the door."""
    bare = place.subscriber.partition("/")[0].lower()
    same = not bare.isascii() or bare == attributes.get("jid")
    return same and (place.broker, place.node) == (attributes.get("broker"), attributes.get("topic"))


def _origins(attributes: Mapping[str, str], operation: Operation) -> Mapping[str, Origin]:
    return {name: operation.attributes[name].origin for name in attributes}
