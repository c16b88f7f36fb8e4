"""Decisions over delegations that are no chain: thresholds, and diamonds wide and deep."""

from __future__ import annotations

from itertools import pairwise

from clearinghouse.keynote import Assertions, admit
from tests.benchmarks.community import FACTS, FIVE, VALUES, Key, credential, policy, quoted
from tests.benchmarks.measure import Effort, Side, race
from tests.benchmarks.report import Section

_MEMBERS = 100
_QUORUM = 50
_LAYERS = 10


def graphs(effort: Effort) -> Section:
    """Each alone: no peer has thresholds over delegated principals."""
    sides = (
        _side("50-of-100, all 50 ask", _quorum(), [Key(i).principal for i in range(_QUORUM)]),
        _side("50-of-100, 49 ask", _quorum(), [Key(i).principal for i in range(_QUORUM - 1)], "deny"),
        _side("50-of-100, one asks, licensed by 50", _licensed_quorum(), [Key(_MEMBERS).principal]),
        _side("diamond, 100 wide: 200 credentials", _wide(), [Key(_MEMBERS + 1).principal]),
        _side("diamond, 10 deep, 2 wide: 38 credentials", _deep(2), [Key(0).principal]),
        _side("diamond, 10 deep, 10 wide: 820 credentials", _deep(10), [Key(0).principal]),
    )
    us = race(sides, effort)
    return Section("Decision over graphs, five comparisons in each assertion (us)", ("", "ours"), list(us.items()))


def _side(name: str, assertions: Assertions, requesters: list[str], want: str = "allow") -> Side:
    return Side(name, lambda: assertions.query(authorizers=requesters, action=FACTS, values=VALUES).value, want)


def _threshold() -> str:
    return f"{_QUORUM}-of({', '.join(quoted(Key(i)) for i in range(_MEMBERS))})"


def _quorum() -> Assertions:
    return Assertions(policies=[policy(_threshold())])


def _licensed_quorum() -> Assertions:
    """Fifty of the members each license key 100."""
    credentials = [admit(credential(Key(i), quoted(Key(_MEMBERS)), FIVE)) for i in range(_QUORUM)]
    return Assertions(policies=[policy(_threshold())], credentials=credentials)


def _wide() -> Assertions:
    """Key 100 licenses each of a hundred, and each of them licenses key 101."""
    hub, requester = Key(_MEMBERS), Key(_MEMBERS + 1)
    down = [credential(hub, quoted(Key(i)), FIVE) for i in range(_MEMBERS)]
    up = [credential(Key(i), quoted(requester), FIVE) for i in range(_MEMBERS)]
    return Assertions(policies=[policy(quoted(hub))], credentials=map(admit, (*down, *up)))


def _deep(width: int) -> Assertions:
    """Ten layers between the requester and the hub; everybody licenses everybody of the layer below."""
    layers = [[Key(0)], *([Key(1 + layer * width + i) for i in range(width)] for layer in range(_LAYERS - 1)), [Key(999)]]
    raws = [credential(above, quoted(below), FIVE) for lower, upper in pairwise(layers) for below in lower for above in upper]
    return Assertions(policies=[policy(quoted(Key(999)))], credentials=map(admit, raws))
