"""Decisions over verified chains: beside biscuit-python, among many credentials, and with their reasons."""

from __future__ import annotations

from collections.abc import Callable

from clearinghouse.keynote import Assertions, Proof
from tests.benchmarks.biscuit import Peer
from tests.benchmarks.community import ACTION, DEPTHS, FACTS, MATCHING, UNTIL, VALUES, Chain, crowd
from tests.benchmarks.measure import Effort, Side, race
from tests.benchmarks.report import Cell, Goal, Section

_FEW = 10
"""Credentials loaded where few are."""


Derive = Callable[[Proof], object]


def asked(assertions: Assertions, chain: Chain, derive: Derive = lambda proof: proof.value, **changes: str) -> Callable[[], object]:
    """Return a query to be repeated, and what is taken from its proof; *changes* are to its attributes."""
    requesters, action = chain.requesters, ACTION | changes
    return lambda: derive(assertions.query(authorizers=requesters, action=action, values=VALUES))


def valued(assertions: Assertions, chain: Chain) -> Callable[[], str]:
    """Return a query to be repeated, of which only the value is taken."""
    requesters = chain.requesters
    return lambda: assertions.query(authorizers=requesters, action=FACTS, values=VALUES).value


def decisions(effort: Effort) -> Section:
    """Chains among ten credentials and among many, and biscuit's authorize, in one race for each depth."""
    few, many = f"ours, {_FEW} loaded", f"ours, {effort.crowd:,} loaded"
    rows, goals, late = [], [], 0
    for depth in DEPTHS:
        chain, peer = Chain(depth), Peer(depth)
        sides = (
            Side("prebuilt", peer.prebuilt(), 0),
            Side("per request", peer.per_request(), 0),
            Side(few, valued(chain.loaded(crowd(_FEW - depth).admitted), chain), "allow"),
            Side(many, valued(chain.loaded(crowd(effort.crowd).admitted), chain), "allow"),
        )
        us = race(sides, effort)
        by_request, by_prebuilt, grown = us["per request"] / us[few], us["prebuilt"] / us[few], us[many] / us[few]
        rows.append((f"chain of {depth}", us["prebuilt"], us["per request"], us[few], us[many], by_prebuilt, by_request, grown))
        goals.append(Goal(f"chain of {depth}: biscuit per request / ours", "at least", 5.0, by_request))
        goals.append(Goal(f"chain of {depth}: biscuit built before / ours", "at least", 5.0, by_prebuilt))
        goals.append(Goal(f"chain of {depth}: {effort.crowd:,} loaded / {_FEW} loaded", "at most", 1.2, grown))
        late += peer.out_of_time
    return Section(
        "Decision, credentials verified, five comparisons for each link and for POLICY (us)",
        ("", "biscuit, built before", "biscuit, per request", few, many, "before / ours", "per request / ours", "many / few"),
        rows,
        tuple(goals),
        (
            "biscuit, built before: facts and policy are in the builder; per request: the facts are given each time, as our attributes are",
            f"biscuit ended {late} calls at its own limit of 1 ms; they are counted as answers",
        ),
    )


def explained(effort: Effort) -> Section:
    """What the reasons cost, when they are asked for."""
    rows: list[tuple[Cell, ...]] = []
    for depth in DEPTHS:
        chain = Chain(depth, UNTIL)
        assertions = chain.loaded()
        us = race(
            (
                Side("value", asked(assertions, chain), "allow"),
                Side("chain", asked(assertions, chain, lambda proof: len(proof.chain)), depth + 1),
                Side("until", asked(assertions, chain, lambda proof: str(proof.stable_until)), "2027-01-01 00:00:00+00:00"),
                Side("denied", asked(assertions, chain, level="1"), "deny"),
                Side("missing", asked(assertions, chain, lambda proof: proof.missing[-1].value, level="1"), "allow"),
            ),
            effort,
        )
        rows.append((f"chain of {depth}", *us.values()))
    return Section(
        "Decision with its reasons, six comparisons, one of them of the date (us)",
        ("", "value", "value and chain", "value and stable_until", "denied", "denied, and what is missing"),
        rows,
    )


def matching(effort: Effort) -> Section:
    """A sixth comparison by regular expression, here and in biscuit."""
    rows, late = [], 0
    for depth in DEPTHS:
        chain, peer = Chain(depth, MATCHING), Peer(depth, matching=True)
        us = race((Side("biscuit", peer.per_request(), 0), Side("ours", valued(chain.loaded(), chain), "allow")), effort)
        rows.append((f"chain of {depth}", us["biscuit"], us["ours"], us["biscuit"] / us["ours"]))
        late += peer.out_of_time
    return Section(
        "Decision with a regular expression in each link (us)",
        ("", "biscuit, per request", "ours", "biscuit / ours"),
        rows,
        notes=(f"biscuit ended {late} calls at its own limit of 1 ms",),
    )
