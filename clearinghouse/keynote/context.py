"""What one query is asked about: compliance values, action attributes, requesters, budget."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from sys import intern

from clearinghouse.errors import BadQuery, TooLarge
from clearinghouse.keynote.budget import Budget
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.octets import to_octets
from clearinghouse.keynote.principals import normalise
from clearinghouse.keynote.remembered import Remembered

POLICY = "POLICY"
MIN_TRUST, MAX_TRUST, VALUES, ACTION_AUTHORIZERS = "_MIN_TRUST", "_MAX_TRUST", "_VALUES", "_ACTION_AUTHORIZERS"
_SCALES = 256
"""Value sets remembered."""
_REQUESTERS = 1_024
"""Sets of requesters remembered."""
_NAMES = 1_024
"""Names of attributes remembered as usable; the vocabulary has some dozens."""
_NAME_LENGTH = 64
"""Bytes of a name that is remembered."""


class Scale:
    """The compliance values of a query, weakest first; a level is an index into ``names``."""

    __slots__ = ("joined", "levels", "names", "top", "written")

    def __init__(self, names: tuple[str, ...]) -> None:
        """Order *names*, weakest first; raise BadQuery for none, or one twice."""
        if not names:
            raise BadQuery("a query needs compliance values", mend="give them from the weakest to the strongest, as in `deny,allow`")
        self.names = tuple(map(octets_of, names))
        self.levels = {name: level for level, name in enumerate(self.names)}
        if len(self.levels) != len(names):
            raise BadQuery(
                f"a compliance value stands twice in `{','.join(names)}`", mend="name each once, from the weakest to the strongest"
            )
        self.top = len(names) - 1
        self.joined = ",".join(self.names)
        self.written = names


class Context:
    """One query, ready to be evaluated.

    ``action`` maps names to octet texts; ``specials`` holds the four attributes that KeyNote
    itself defines (RFC 2704, 4.5); ``requesters`` are principals in normal form.
    """

    __slots__ = ("action", "budget", "levels", "limits", "requesters", "scale", "specials", "top")

    def __init__(self, requesters: tuple[str, ...], action: Mapping[str, str], scale: Scale, limits: Limits, budget: Budget) -> None:
        """Take checked parts; :func:`context_of` checks them."""
        self.requesters = requesters
        self.action = action
        self.scale = scale
        self.levels = scale.levels
        self.top = scale.top
        self.limits = limits
        self.budget = budget
        self.specials: dict[str, str] | None = None

    def special(self, name: str) -> str:
        """Return a special attribute, or the empty string: applications may not set `_` names."""
        if self.specials is None:
            names = self.scale.names
            self.specials = {
                MIN_TRUST: names[0],
                MAX_TRUST: names[-1],
                VALUES: self.scale.joined,
                ACTION_AUTHORIZERS: ",".join(sorted(self.requesters)),
            }
        return self.specials.get(name, "")


def octets_of(text: str) -> str:
    """Return the octet string of *text*; raise BadQuery for half a surrogate pair, which JSON can smuggle in."""
    try:
        return to_octets(text)
    except UnicodeEncodeError:
        raise BadQuery("a text of the query holds half of a surrogate pair", mend="send whole Unicode characters") from None


def context_of(
    authorizers: Iterable[str], action: Mapping[str, str], values: Sequence[str], limits: Limits, budget: Budget | None = None
) -> Context:
    """Check the parts of a query and return its context.

    Raises :class:`BadQuery` for no requesters, `POLICY` as requester, an attribute name that
    begins with an underscore, or a bad value set; :class:`TooLarge` beyond the limits;
    :class:`BadPrincipal` for a requester that is an undecodable key.
    """
    if isinstance(authorizers, str):
        raise BadQuery("the authorizers are one text", mend="give a list of principals, also for a single one")
    scale = _scales[tuple(values)]
    if scale.top >= limits.values:
        raise TooLarge(f"a query has {len(values)} compliance values", mend=f"at most {limits.values} are compared (`values`)")
    return Context(_requesters[tuple(authorizers)], _action(action, limits), scale, limits, budget or Budget(limits.steps))


def scale_of(values: tuple[str, ...]) -> Scale:
    """Return the scale of *values*; an equal tuple gives the same object."""
    return _scales[values]


def _normalised(authorizers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the requesters in normal form, each once."""
    # `[:]` makes a plain text of a subclass, which could not be interned.
    found = tuple(dict.fromkeys(intern(normalise(octets_of(name))[:]) for name in authorizers))
    if not found:
        raise BadQuery("a query needs at least one action authorizer", mend="name who requests the action")
    if POLICY in found:
        raise BadQuery("`POLICY` cannot request an action", mend="`POLICY` is the local root of trust: name the key or the user that asks")
    return found


# A community has a handful of value sets, the same few ask again and again, and a door always gives the same attributes.
_scales = Remembered(Scale, _SCALES)
_requesters = Remembered(_normalised, _REQUESTERS)
_usable: set[str] = set()


def _action(action: Mapping[str, str], limits: Limits) -> Mapping[str, str]:
    """Return a private copy of the attributes as octets; plain ASCII is copied as it is."""
    copy = {**action}
    if len(copy) > limits.attributes or not _usable.issuperset(copy):
        _check_names(copy, limits.attributes)
    try:
        joined = "".join([*copy.values()])
    except TypeError:
        raise BadQuery("an attribute is not text", mend="KeyNote attributes are strings: write numbers as decimal text") from None
    plain = joined.isascii()
    if not plain:
        copy = {name: octets_of(value) for name, value in copy.items()}
    if not plain or len(joined) > limits.attribute_bytes:
        _check_lengths(copy, limits.attribute_bytes)
    return copy


def _check_names(names: Collection[str], at_most: int) -> None:
    """Refuse names that belong to KeyNote, and more than *at_most*; remember those that are usable."""
    if len(names) > at_most:
        raise TooLarge(f"a query has {len(names)} attributes", mend=f"at most {at_most} are read (`attributes`)")
    for name in names:
        if not name.isascii():
            raise BadQuery(f"`{name!r}` is not the name of an attribute", mend="names are ASCII letters, digits and underscores")
        if name.startswith("_"):
            raise BadQuery(f"the attribute `{name}` begins with an underscore", mend="such names belong to KeyNote: choose another")
    if len(_usable) > _NAMES:
        _usable.clear()
    _usable.update(name for name in names if len(name) <= _NAME_LENGTH)


def _check_lengths(action: Mapping[str, str], at_most: int) -> None:
    for name, value in action.items():
        if len(value) > at_most:
            raise TooLarge(f"the attribute `{name}` has {len(value)} bytes", mend=f"at most {at_most} are read (`attribute_bytes`)")
