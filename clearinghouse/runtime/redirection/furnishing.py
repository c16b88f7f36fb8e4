"""A porter for the main service, from what that has already; and what its status tells of the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from clearinghouse.clearing.clear import Desk
from clearinghouse.clearing.vocabulary import EVERYTHING
from clearinghouse.doors.s2s.door import Door
from clearinghouse.errors import BadSettings
from clearinghouse.runtime.chance import Chance
from clearinghouse.runtime.federation.house import House
from clearinghouse.runtime.redirection.ground import Journal, TableLevels
from clearinghouse.runtime.redirection.porter import RulingPorter
from clearinghouse.settings import Settings


def check_members(settings: Settings) -> None:
    """Raise `BadSettings` for a door of a clearinghouse that keeps no records of members: it would know nobody to send anybody to."""
    if settings.redirect is not None and settings.federation is None:
        mend = "add [federation], or begin the door of another clearinghouse as a node: `clearinghouse redirect`"
        raise BadSettings("there is a [redirect] and no [federation], so there are no records of members", mend=mend)


def porter_of(settings: Settings, house: House | None, desk: Desk, journal: Journal, chance: Chance) -> RulingPorter | None:
    """Return who decides for the door for servers, if the settings want one."""
    if settings.redirect is None or house is None:
        return None
    levels = TableLevels(lambda: house.press.views[EVERYTHING].table, settings.levels[0], chance.now)
    return RulingPorter.furnished(settings.redirect, desk, journal=journal, members=house.roll, levels=levels, chance=chance)


def told_of(door: Door, porter: RulingPorter) -> Mapping[str, object]:
    """Return what status tells of the door for servers."""
    places = {"listen": [list(each) for each in door.listen], "listen_tls": [list(each) for each in door.listen_tls]}
    return {**places, **porter.status(), "counts": asdict(door.counts)}
