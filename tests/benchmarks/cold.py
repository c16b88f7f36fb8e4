"""From raw bytes to the decision with nothing remembered, beside the bare signature checks."""

from __future__ import annotations

from collections.abc import Callable

from nacl.bindings import crypto_sign_open

from clearinghouse.keynote import Admissions, Admitted, Assertions, admit
from clearinghouse.keynote import credential as engine
from clearinghouse.keynote.shapes import Shapes
from tests.benchmarks.biscuit import Peer
from tests.benchmarks.community import DEPTHS, FACTS, FIVE, VALUES, Chain
from tests.benchmarks.measure import Effort, Side, race
from tests.benchmarks.report import Cell, Goal, Section

_GOAL_DEPTH = 3


def cold(effort: Effort) -> Section:
    """Admit the chain as a stranger's, lay it over the policy, decide; nothing of it was seen before."""
    goals, late = [], 0
    rows: list[tuple[Cell, ...]] = []
    for depth in DEPTHS:
        chain, peer = Chain(depth), Peer(depth)
        unknown = Chain(depth, f'{FIVE} && depth_{depth} == ""')
        us = race(
            (
                Side("bare", _bare(chain), depth),
                Side("biscuit", peer.from_bytes(), 0),
                Side("known", _decided(chain.policy, chain), "allow"),
                Side("seen", _seen(chain.policy, chain), "allow"),
            ),
            effort,
        )
        # Apart, because Lark leaves nothing of the others in the processor's caches.
        us |= race(
            (
                Side("interpreted", _decided(chain.policy, unknown), "allow"),
                Side("learned", _learning(chain.policy, unknown), "allow"),
            ),
            effort,
        )
        ratio = us["known"] / us["bare"]
        rows.append((f"chain of {depth}", *us.values(), ratio, us["known"] / us["biscuit"]))
        if depth == _GOAL_DEPTH:
            goals.append(Goal(f"cold chain of {depth}, shapes known / bare signature checks", "at most", 2.0, ratio))
        late += peer.out_of_time
    return Section(
        "Cold: raw bytes to decision (us)",
        ("", "bare checks", "biscuit", "shapes known", "bytes seen", "new, not learned", "new, learned", "known / bare", "known / biscuit"),
        rows,
        tuple(goals),
        (
            "bare checks: PyNaCl's crypto_sign_open over the same bytes, keys and signatures decoded beforehand",
            "shapes known: conditions like these, with any literals, were read before; bytes seen: these very bytes were admitted before",
            "new, not learned: a stranger's credential, its conditions read by Lark and interpreted (R20)",
            "new, learned: read by Lark and compiled, once for each shape; all links of a chain have the same",
            f"biscuit ended {late} calls at its own limit of 1 ms",
        ),
    )


def _bare(chain: Chain) -> Callable[[], int]:
    """Return the checks that any reader of these bytes must make."""
    parts = [signed_parts(raw) for raw in chain.raws]
    return lambda: sum(1 for signed, key in parts if crypto_sign_open(signed, key))


def signed_parts(raw: bytes) -> tuple[bytes, bytes]:
    """Return the signature with what it covers, and the key."""
    text, _, field = raw.rpartition(b"Signature: ")
    kind, _, bits = field.strip(b'"\n').rpartition(b":")
    key = bytes.fromhex(text.partition(b"ed25519-hex:")[2][:64].decode())
    return bytes.fromhex(bits.decode()) + text + kind + b":", key


def _decided(root: Admitted, chain: Chain) -> Callable[[], str]:
    """Return a decision over *chain* as a stranger's: its shape is used where known, and not learned."""
    base, requesters, raws = Assertions(policies=[root]), chain.requesters, chain.raws

    def run() -> str:
        overlaid = base.with_credentials([admit(raw, learn=False) for raw in raws])
        return overlaid.query(authorizers=requesters, action=FACTS, values=VALUES).value

    return run


def _learning(root: Admitted, chain: Chain) -> Callable[[], str]:
    """Return a decision that learns the shape of *chain* each time."""
    base, requesters, raws = Assertions(policies=[root]), chain.requesters, chain.raws

    def run() -> str:
        kept, engine._shapes = engine._shapes, Shapes()
        try:
            overlaid = base.with_credentials([admit(raw) for raw in raws])
        finally:
            engine._shapes = kept
        return overlaid.query(authorizers=requesters, action=FACTS, values=VALUES).value

    return run


def _seen(root: Admitted, chain: Chain) -> Callable[[], str]:
    """Return a decision over bytes whose digest is remembered."""
    base, requesters, raws = Assertions(policies=[root]), chain.requesters, chain.raws
    admissions = Admissions()

    def run() -> str:
        overlaid = base.with_credentials([admissions.admit(raw, learn=False) for raw in raws])
        return overlaid.query(authorizers=requesters, action=FACTS, values=VALUES).value

    return run
