"""What the stages about members read from their forms, show, and do (rule R10: at a chat they leave drafts)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from clearinghouse.clearing.people import Speaker
from clearinghouse.errors import MalformedRequest, PeerError
from clearinghouse.federation.membership.registry import Registry
from clearinghouse.grid import member_screens
from clearinghouse.grid.commands import CommandAsked, Screen, Stage
from clearinghouse.grid.member_screens import ACT, LINES, WORDS

Inputs: TypeAlias = Mapping[str, str]
Step: TypeAlias = Callable[[Registry, Speaker, Inputs], Awaitable[Screen]]

_SEPARATORS: Final = {"endpoints": " ", "keys": " ", "contacts": "\n", "pins": " "}


def read_enrolment(asked: CommandAsked) -> dict[str, str]:
    """Return what was filled in."""
    found = {name: asked.one(name) for name in WORDS} | {
        name: _SEPARATORS[name].join(asked.lines(name).split("\n")).strip() for name in LINES
    }
    if asked.one(ACT) not in {"add", "change", "remove"} or not found["domain"]:
        raise MalformedRequest("it does not say what should happen to whom", mend="choose one of the list, and name a domain")
    return {ACT: asked.one(ACT), **found}


def _wanted(inputs: Inputs) -> tuple[str, dict[str, str]]:
    """Return the act and its words: what is empty stays, and a removal says nothing else."""
    words = {name: inputs[name] for name in (*WORDS, *LINES) if inputs.get(name)}
    act = inputs[ACT]
    return act, {name: words[name] for name in ("domain", "note") if name in words} if act == "remove" else words


async def _show_enrolling(registry: Registry, who: Speaker, _: Inputs) -> Screen:
    try:
        found = registry.members(who)
    except PeerError:  # who may propose need not see who is there
        found = ()
    return member_screens.enrolling(f"{each['domain']}: {each['level']}" for each in found if each["removed"] == "no")


async def _show_enrolment(registry: Registry, who: Speaker, inputs: Inputs) -> Screen:
    act, words = _wanted(inputs)
    return member_screens.enrolment(await registry.enrol(who, act, words, dry_run=True))


async def _enrol(registry: Registry, who: Speaker, inputs: Inputs) -> Screen:
    act, words = _wanted(inputs)
    found = await registry.enrol(who, act, words)
    return member_screens.drafted(found.names[0], found.names[-1], found.waits_for)


MEMBER_TAKE: Final[Mapping[Stage, Callable[[CommandAsked], dict[str, str]]]] = MappingProxyType(
    {Stage.ENROLLING: read_enrolment, Stage.ENROLMENT: lambda _: {}}
)
"""Reads what was filled in at a stage about members; raises `MalformedRequest`."""

MEMBER_SHOW: Final[Mapping[Stage, Step]] = MappingProxyType({Stage.ENROLLING: _show_enrolling, Stage.ENROLMENT: _show_enrolment})
"""Returns what a stage about members shows."""

MEMBER_ACT: Final[Mapping[Stage, Step]] = MappingProxyType({Stage.ENROLMENT: _enrol})
"""Does what a command about members is for."""
