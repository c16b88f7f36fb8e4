"""What a server module enforces, as plain values: the rows of a table, and grants, ready to be looked up (pure).

An image says of each pair (local host, remote domain) which kinds of stanzas pass in which direction.  It holds no
policy: levels have become masks, and credentials have become grants.  `Image.mask` is what the modules in the
servers compute; they are tested against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Final, Literal, TypeAlias

from clearinghouse.errors import OperatorError

MAX_ROWS: Final = 200_000
"""Domains in one image: twice the largest community that is measured; some 20 MB in a server."""

MAX_GRANTS: Final = 10_000
"""Grants in one image, each of which a server may have to look at when time passes."""

MAX_CLASSES: Final = 64
MAX_HOSTS: Final = 64
"""Classes (levels) of an image, and hosts of one server that it governs."""

MAX_TEXT: Final = 200
"""Characters of a reason, a name or a decision's id: a sentence that a user reads in an error."""

MAX_DOMAIN_BYTES: Final = 253
"""Of a domain in A-labels (RFC 1035, section 2.3.4, without the final dot)."""

MAX_JID_BYTES: Final = 2047
"""Of a bare JID: two parts of 1023 bytes and the sign between them (RFC 7622, section 3.1)."""

Kind: TypeAlias = Literal["message", "presence", "iq", "groupchat"]
Direction: TypeAlias = Literal["inbound", "outbound"]
Mode: TypeAlias = Literal["enforce", "shadow"]
Default: TypeAlias = Literal["deny", "allow"]

BITS: Final[Mapping[str, int]] = MappingProxyType({"message": 1, "presence": 2, "iq": 4, "groupchat": 8})
"""The bit of each kind of inbound stanza; outbound it is sixteen times as much."""

OUTBOUND: Final = 16
EVERYTHING: Final = 255
NOTHING: Final = 0
ANY: Final = "*"


class BadImage(OperatorError):
    """An image that no server module would take, or could take at its word."""

    code: ClassVar[str] = "bad-image"


def mask_of(kinds: Iterable[Kind], directions: Iterable[Direction]) -> int:
    """Return the mask that lets *kinds* pass in *directions*."""
    once = sum(BITS[kind] for kind in set(kinds))
    return sum(once * (OUTBOUND if direction == "outbound" else 1) for direction in set(directions))


@dataclass(frozen=True, slots=True)
class LevelClass:
    """What passes between us and the domains of one level, and what is said about what does not."""

    mask: int
    reason: str = ""

    def __post_init__(self) -> None:
        _check_mask(self.mask)
        _check_text("reason", self.reason, empty=True)


@dataclass(frozen=True, slots=True)
class Grant:
    """Something that passes for a while besides what the rows let pass.

    *user* is a bare JID of the *remote* domain, *local* one of ours, *address* the other server's; ``*`` is any.
    It ends at *until*, in seconds since 1970.
    """

    id: str
    remote: str
    until: int
    user: str = ANY
    local: str = ANY
    mask: int = EVERYTHING
    address: str = ANY
    decision: str = ""

    def __post_init__(self) -> None:
        _check_text("id", self.id)
        _check_text("decision", self.decision, empty=True)
        check_domain(self.remote)
        _check_mask(self.mask)
        for jid in (self.user, self.local):
            if jid != ANY and (len(jid.encode()) > MAX_JID_BYTES or not _is_plain(jid)):
                raise BadImage(f"`{jid[:MAX_TEXT]}` is no bare JID", mend="write user@domain, or `*` for all")
        if self.user not in (ANY, self.remote) and self.user.rpartition("@")[2] != self.remote:
            raise BadImage(f"`{self.user}` is no user of `{self.remote}`", mend="a grant names a user of its own remote domain")


@dataclass(frozen=True, slots=True)
class Image:
    """Everything that the module at one server enforces for the local domain *name*; equal images enforce the same.

    *serial* only goes up.  *rows* say the class of each known domain; for another one the *default* counts.  Rows and
    default end at *expires* (seconds since 1970; 0 is never), after which only *grants* let anything pass.
    *decision* identifies what was decided (a table's version), and stands behind every reason.  *ask* is whether the
    module holds what is refused to our users, and tells us.
    """

    name: str
    serial: int
    hosts: tuple[str, ...]
    classes: Mapping[str, LevelClass]
    rows: Mapping[str, str] = field(repr=False)
    grants: tuple[Grant, ...] = field(default=(), repr=False)
    mode: Mode = "enforce"
    default: Default = "deny"
    default_reason: str = ""
    expires: int = 0
    ask: bool = False
    decision: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "grants", tuple(sorted(self.grants, key=lambda grant: grant.id)))
        _check_image(self)

    def mask(self, remote: str, *, now: int, user: str = ANY, local: str = ANY, address: str = ANY) -> int:
        """Return what passes between *local* (a bare JID of ours) and *user* of the domain *remote*, whose server is at *address*.

        ``*`` asks what passes for anybody.
        """
        found = NOTHING
        if not self.expires or now < self.expires:
            name = self.rows.get(remote)
            found = self.classes[name].mask if name is not None else (EVERYTHING if self.default == "allow" else NOTHING)
        for grant in self.grants:
            if grant.remote == remote and now < grant.until and _covers(grant, user, local, address):
                found |= grant.mask
        return found


@dataclass(frozen=True, slots=True)
class Change:
    """The way from the image with serial *after* to the one with *serial*.

    *rows* are lists of domains by their new class, *unset* domains that have no row any more, *ended* ids of grants.
    """

    name: str
    serial: int
    after: int
    rows: Mapping[str, Sequence[str]]
    unset: tuple[str, ...]
    grants: tuple[Grant, ...]
    ended: tuple[str, ...]
    expires: int
    decision: str = ""

    @property
    def size(self) -> int:
        """Return how many rows and grants it changes."""
        return sum(map(len, self.rows.values())) + len(self.unset) + len(self.grants) + len(self.ended)


def change_between(before: Image, after: Image) -> Change | None:
    """Return the way from *before* to *after*, or None where only a whole new image leads there.

    Who knows what changed, because a delta said it, makes the `Change` itself: this looks at every row.
    """
    if after.serial <= before.serial or _frame(before) != _frame(after):
        return None
    changed: dict[str, list[str]] = {}
    for domain, name in after.rows.items():
        if before.rows.get(domain) != name:
            changed.setdefault(name, []).append(domain)
    unset = sorted(before.rows.keys() - after.rows.keys())
    old, new = ({grant.id: grant for grant in image.grants} for image in (before, after))
    return Change(
        name=after.name,
        serial=after.serial,
        after=before.serial,
        rows={name: sorted(domains) for name, domains in sorted(changed.items())},
        unset=tuple(unset),
        grants=tuple(grant for name, grant in new.items() if old.get(name) != grant),
        ended=tuple(sorted(old.keys() - new.keys())),
        expires=after.expires,
        decision=after.decision,
    )


def applied(image: Image, change: Change) -> Image:
    """Return *image* after *change*; raises `BadImage` where it belongs to another image."""
    if (change.name, change.after) != (image.name, image.serial):
        raise BadImage(
            f"a change of `{change.name}` after {change.after} is none of `{image.name}` {image.serial}", mend="push the whole image"
        )
    gone = set(change.unset)
    rows = {domain: name for domain, name in image.rows.items() if domain not in gone}
    rows |= {domain: name for name, domains in change.rows.items() for domain in domains}
    kept = {grant.id: grant for grant in image.grants if grant.id not in set(change.ended)}
    kept |= {grant.id: grant for grant in change.grants}
    return Image(
        name=image.name,
        serial=change.serial,
        hosts=image.hosts,
        classes=image.classes,
        rows=rows,
        grants=tuple(kept.values()),
        mode=image.mode,
        default=image.default,
        default_reason=image.default_reason,
        expires=change.expires,
        ask=image.ask,
        decision=change.decision,
    )


def _frame(image: Image) -> tuple[object, ...]:
    """Return what only a whole new image changes."""
    return (image.name, image.hosts, image.classes, image.mode, image.default, image.default_reason, image.ask)


def _covers(grant: Grant, user: str, local: str, address: str) -> bool:
    """Whether *grant* is about this; of a *local* host it may be about somebody there."""
    about_user = ANY in (grant.user, user) or grant.user == user
    about_local = ANY in (grant.local, local) or grant.local == local or grant.local.rpartition("@")[2] == local
    return about_user and about_local and (ANY in (grant.address, address) or grant.address == address)


def _check_image(image: Image) -> None:
    check_domain(image.name)
    for name, found, limit in (
        ("rows", len(image.rows), MAX_ROWS),
        ("grants", len(image.grants), MAX_GRANTS),
        ("classes", len(image.classes), MAX_CLASSES),
        ("hosts", len(image.hosts), MAX_HOSTS),
    ):
        if found > limit:
            raise BadImage(f"an image has {found} {name}, and at most {limit} are allowed", mend="split the community, or the server")
    for host in image.hosts:
        check_domain(host)
    for name in image.classes:
        _check_text("class", name)
    if unknown := set(image.rows.values()) - image.classes.keys():
        raise BadImage(f"rows have the class `{min(unknown)}`, which is none of the image", mend="give it a mask")
    if len({grant.id for grant in image.grants}) != len(image.grants):
        raise BadImage("two grants have the same id", mend="give each its own")
    if image.serial < 1 or image.expires < 0:
        raise BadImage("serial and expiry of an image are whole numbers from 1 and 0", mend="count from 1")
    for what, text in (("default_reason", image.default_reason), ("decision", image.decision)):
        _check_text(what, text, empty=True)


def check_domain(domain: str) -> None:
    """Refuse what is no domain in lower-case A-labels; those of rows are looked at when they are pushed."""
    if (
        not domain.isascii()
        or not 0 < len(domain) <= MAX_DOMAIN_BYTES
        or domain != domain.lower()
        or not _is_plain(domain)
        or "@" in domain
    ):
        raise BadImage(f"`{domain[:MAX_TEXT]}` is no domain in lower-case A-labels", mend="normalise it before")


def _is_plain(text: str) -> bool:
    """Whether *text* has neither space nor control characters, nor a resource."""
    return bool(text) and text.isprintable() and not any(sign in text for sign in ' /"&<>')


def _check_mask(mask: int) -> None:
    if not NOTHING <= mask <= EVERYTHING:
        raise BadImage(f"the mask {mask} is not between {NOTHING} and {EVERYTHING}", mend="use `mask_of`")


def _check_text(what: str, text: str, *, empty: bool = False) -> None:
    if not (empty or text) or len(text) > MAX_TEXT or not text.isprintable():
        raise BadImage(f"a {what} has 1 to {MAX_TEXT} printable characters", mend="shorten it, and leave out control characters")
