"""Who is who: the persons that a community knows, each by every name that they go by (rule R3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from clearinghouse.clearing.request import LOCAL_USER
from clearinghouse.settings.mistakes import wrong
from clearinghouse.settings.section import Section
from clearinghouse.settings.values import Key, Name, User, UserJid


class Person(Section):
    """Somebody who approves, revokes or administers, and counts once whatever they sign or write with.

    ``jids`` are bare JIDs, ``keys`` principals in normal form, ``local`` users of this machine.  What the
    person may do is not said here: policies for `people` say it.
    """

    name: Name
    jids: tuple[UserJid, ...] = ()
    keys: tuple[Key, ...] = ()
    local: tuple[User, ...] = ()

    @property
    def principals(self) -> tuple[str, ...]:
        """Everything that policies and requests know the person by."""
        return (*(f"xmpp:{jid}" for jid in self.jids), *self.keys, *(f"{LOCAL_USER}{user}" for user in self.local))


def check_persons(found: tuple[Person, ...]) -> tuple[Person, ...]:
    """Return *found*; raises what a validator raises for a name or principal of two persons, or a person without any."""
    _check_names(found)
    owners: dict[str, str] = {}
    for each in found:
        if not each.principals:
            raise wrong(f"`{each.name}` has no address, key or user", "give `jids`, `keys` or `local`")
        for principal in each.principals:
            if principal in owners:
                raise wrong(
                    _claimed(principal, owners[principal], each.name), "each address, key and user is one person's, and stands once"
                )
            owners[principal] = each.name
    return found


def by_principal(found: Iterable[Person]) -> dict[str, Person]:
    """Return whose each principal is."""
    return {principal: each for each in found for principal in each.principals}


def _check_names(found: tuple[Person, ...]) -> None:
    names = Counter(each.name for each in found)
    if twice := next((name for name, count in names.items() if count > 1), ""):
        raise wrong(f"names `{twice}` twice", "describe each person once, with everything that they go by")


def _claimed(principal: str, first: str, second: str) -> str:
    what = principal.removeprefix("xmpp:")
    return f"gives `{what}` to `{first}` twice" if first == second else f"gives `{what}` to `{first}` and to `{second}`"
