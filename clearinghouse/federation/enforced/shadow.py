"""What policy would change: each pair of domains, as the servers treat it today and as an image would (pure).

Before anything is enforced, both answers are known: what today's lists say (`Today`), what the module counted
while it enforced nothing (`Seen`), and the image that the agent would enforce.  `compare` puts them side by side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from clearinghouse.federation.enforced.image import ANY, EVERYTHING, NOTHING, OUTBOUND, Grant, Image, LevelClass

EVERYBODY_ELSE: Final = "*"
"""The row of a report for all domains that neither the image nor today's lists name."""

_ONE_WAY: Final = OUTBOUND - 1
"""The bits of all kinds in one direction."""


@dataclass(frozen=True, slots=True)
class Side:
    """Whom a server admits in one direction today: those that are named, and the *default* for all others."""

    default: bool
    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()

    def admits(self, domain: str) -> bool:
        """Whether *domain* passes."""
        return domain in self.allow or (self.default and domain not in self.deny)


@dataclass(frozen=True, slots=True)
class Today:
    """Whom one local domain admits today (`*`: every local domain), and where that was read.

    *unclear* says that the lists hold something that could not be read, so a domain may be treated otherwise.
    """

    local: str
    inbound: Side
    outbound: Side
    unclear: bool = False
    sources: tuple[str, ...] = ()
    import_id: str = ""

    @property
    def named(self) -> frozenset[str]:
        """Every domain that is named."""
        return self.inbound.allow | self.inbound.deny | self.outbound.allow | self.outbound.deny


@dataclass(frozen=True, slots=True)
class Seen:
    """Stanzas that a module counted between two domains, by its own verdict about them."""

    local: str
    remote: str
    direction: str
    kind: str
    allowed: bool
    count: int


class Fate(StrEnum):
    """What becomes of a pair when policy is enforced."""

    CUT = "cut"
    NARROWED = "narrowed"
    OPENED = "opened"
    SAME_ALLOW = "same-allow"
    SAME_DENY = "same-deny"
    UNKNOWN = "unknown"


LOSING: Final = (Fate.CUT, Fate.NARROWED)
"""Pairs that lose something that works today."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair: what passes today (``None``: not known), the mask that policy gives everybody there, and what was counted.

    *why* is the class of the row or what else decides; *seen* counts stanzas, *refused* those that policy would have refused.
    """

    local: str
    remote: str
    inbound: bool | None
    outbound: bool | None
    mask: int
    fate: Fate
    why: str
    seen: int = 0
    refused: int = 0
    unclear: bool = False

    def as_json(self) -> dict[str, object]:
        """Return it in the documented schema."""
        names = ("local", "remote", "inbound", "outbound", "mask", "why", "seen", "refused", "unclear")
        return {name: getattr(self, name) for name in names} | {"fate": self.fate.value}


@dataclass(frozen=True, slots=True)
class Report:
    """All pairs, those that lose most traffic first."""

    pairs: tuple[Pair, ...] = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs have each fate."""
        found = Counter(pair.fate for pair in self.pairs)
        return {fate.value: found[fate] for fate in Fate}

    @property
    def losing(self) -> bool:
        """Whether anything that works today would stop."""
        return any(pair.fate in LOSING for pair in self.pairs)


def compare(images: Iterable[Image], today: Iterable[Today], seen: Iterable[Seen], *, now: int) -> Report:
    """Return what would become of every pair of a host of *images* and a domain that anything names, at *now* (seconds since 1970)."""
    lists = {each.local: each for each in today}
    counted: dict[str, dict[str, list[Seen]]] = defaultdict(lambda: defaultdict(list))
    for each in seen:
        counted[each.local][each.remote].append(each)
    pairs = [
        pair
        for image in images
        for host in image.hosts or (image.name,)
        for pair in _pairs(image, host, lists.get(host) or lists.get(ANY), counted[host], now)
    ]
    order = list(Fate)
    return Report(tuple(sorted(pairs, key=lambda pair: (order.index(pair.fate), -pair.seen, pair.local, pair.remote))))


def _pairs(image: Image, host: str, today: Today | None, counted: Mapping[str, list[Seen]], now: int) -> Iterator[Pair]:
    policy = _Policy(image, host, now)
    remotes = (set(policy.named) | set(counted) | (today.named if today else set())) - {image.name, *image.hosts}  # never leaves us
    for remote in (*remotes, EVERYBODY_ELSE):
        traffic = counted.get(remote, [])
        inbound, outbound = (_passes(today, traffic, direction, remote) for direction in ("in", "out"))
        everybody, somebody, why = policy.about(remote)
        yield Pair(
            local=host,
            remote=remote,
            inbound=inbound,
            outbound=outbound,
            mask=everybody,
            fate=_fate(inbound, outbound, everybody, somebody),
            why=why,
            seen=sum(each.count for each in traffic),
            refused=sum(each.count for each in traffic if not each.allowed),
            unclear=bool(today and today.unclear),
        )


def _passes(today: Today | None, traffic: Sequence[Seen], direction: str, remote: str) -> bool | None:
    """Return whether a direction is open today: by the lists, and without any, by what was counted."""
    if today is None:
        return True if any(each.direction.startswith(direction) for each in traffic) else None
    side = today.inbound if direction == "in" else today.outbound
    return side.default if remote == EVERYBODY_ELSE else side.admits(remote)


def _fate(inbound: bool | None, outbound: bool | None, everybody: int, somebody: int) -> Fate:  # noqa: FBT001 - of two directions
    """Return what happens to a pair whose users have the mask *everybody*, and some of them *somebody*."""
    if inbound is None and outbound is None:
        return Fate.UNKNOWN
    ways = ((inbound, everybody & _ONE_WAY), (outbound, everybody // OUTBOUND))
    if any(open_ and mask != _ONE_WAY for open_, mask in ways):
        return Fate.CUT if somebody == NOTHING else Fate.NARROWED
    if any(open_ is False and mask for open_, mask in ways):
        return Fate.OPENED
    return Fate.SAME_ALLOW if inbound or outbound else Fate.SAME_DENY


class _Policy:
    """An image as it treats one host, with grants by remote domain: one look-up for each pair."""

    def __init__(self, image: Image, host: str, now: int) -> None:
        self._image = image
        self._counts = not image.expires or now < image.expires
        self._grants: dict[str, list[Grant]] = defaultdict(list)
        for grant in image.grants:
            if now < grant.until and (grant.local == ANY or grant.local.rpartition("@")[2] == host):
                self._grants[grant.remote].append(grant)

    @property
    def named(self) -> Iterable[str]:
        """Every domain with a row or a grant."""
        return (*self._image.rows, *self._grants)

    def about(self, remote: str) -> tuple[int, int, str]:
        """Return what passes for everybody at *remote*, what for somebody at least, and why."""
        name = self._image.rows.get(remote)
        if not self._counts:
            mask, why = NOTHING, "the image has expired"
        elif name is not None:
            mask, why = self._image.classes[name].mask, name
        else:
            mask, why = (EVERYTHING if self._image.default == "allow" else NOTHING), f"default {self._image.default}"
        somebody = mask
        grants = self._grants.get(remote, ())
        for grant in grants:
            somebody |= grant.mask
            if (grant.user, grant.local, grant.address) == (ANY, ANY, ANY):
                mask |= grant.mask
        return mask, somebody, f"{why}, and {len(grants)} grants" if grants else why


# -- how they are kept --------------------------------------------------------------------------------


def today_as_json(today: Today) -> dict[str, Any]:
    """Return the content of an *allowed today* file."""
    sides = {"inbound": today.inbound, "outbound": today.outbound}
    return {
        "local": today.local,
        "import": today.import_id,
        "sources": list(today.sources),
        "unclear": today.unclear,
        **{name: {"default": _word(side.default), "allow": sorted(side.allow), "deny": sorted(side.deny)} for name, side in sides.items()},
    }


def today_of(found: Mapping[str, Any]) -> Today:
    """Return what `today_as_json` wrote; raises ``ValueError``."""
    match found:
        case {
            "local": str(local),
            "import": str(import_id),
            "sources": list(sources),
            "unclear": bool(unclear),
            "inbound": dict(inbound),
            "outbound": dict(outbound),
        }:
            return Today(local, _side(inbound), _side(outbound), unclear, tuple(map(str, sources)), import_id)
        case _:
            raise ValueError("is no list of who is allowed today")


def image_of(found: Mapping[str, Any]) -> Image:
    """Return the image that an agent wrote down, with the names that pushes have; raises ``ValueError``, `BadImage`."""
    try:
        return Image(
            name=found["image"],
            serial=found["serial"],
            hosts=tuple(found["hosts"]),
            classes={name: LevelClass(each["mask"], each["reason"]) for name, each in found["classes"].items()},
            rows={domain: name for name, domains in found["rows"].items() for domain in domains},
            grants=tuple(Grant(**each) for each in found["grants"]),
            mode=found["mode"],
            default=found["default"],
            default_reason=found["default_reason"],
            expires=found["expires"],
            decision=found.get("decision", ""),
        )
    except (KeyError, TypeError, AttributeError):
        raise ValueError("is no image of an agent") from None


def module_in(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a module said: *found* itself, whose ``module`` is a version, or what an agent's status has under that name."""
    inner = found.get("module", "")
    return found if isinstance(inner, str) else inner if isinstance(inner, Mapping) else {}


def seen_of(found: Iterable[object]) -> tuple[Seen, ...]:
    """Return the counts in the ``seen`` of a module's status; raises ``ValueError``."""
    return tuple(map(_seen, found))


def _side(found: Mapping[str, Any]) -> Side:
    match found:
        case {"default": "allow" | "deny" as default, "allow": list(allow), "deny": list(deny)}:
            return Side(default == "allow", frozenset(map(str, allow)), frozenset(map(str, deny)))
        case _:
            raise ValueError("has a direction without default, allow and deny")


def _seen(found: object) -> Seen:
    match found:
        case {
            "local": str(local),
            "remote": str(remote),
            "direction": str(direction),
            "kind": str(kind),
            "allowed": bool(allowed),
            "count": int(count),
        }:
            return Seen(local, remote, direction, kind, allowed, count)
        case _:
            raise ValueError("has a count that is none")


def _word(allowed: bool) -> str:  # noqa: FBT001 - of a default
    return "allow" if allowed else "deny"
