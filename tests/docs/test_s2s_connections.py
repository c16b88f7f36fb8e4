"""The page about streams between servers has the limits of connections, and every reason why a certificate proves nothing."""

from __future__ import annotations

from clearinghouse.doors.s2s import asking, dialback, door, identity, listener, pace, tls, trust, turns, wires
from clearinghouse.doors.s2s.trust import Doubt
from tests.docs.pages import ROOT, table_rows

PAGE = ROOT / "docs/reference/s2s.md"


def test_the_page_has_the_limits_of_connections() -> None:
    bears, patience = door.Bears(), pace.Patience()
    page = [row[1] for row in table_rows(PAGE, "of connections", "number", "where")]
    wanted = [
        f"{bears.connections:,}; {bears.connections_each} (",
        f"{pace.MAX_KNOWN:,}; {pace.FAMILIAR}",
        f"{bears.address_burst:g} at once and {bears.address_per_second:g} a second",
        f"{pace.MAX_ADDRESSES:,}; {listener.ADDRESSES:,}",
        f"{patience.header:g} seconds; {patience.handshake:g}; {patience.whole:g}",
        f"{patience.lingering:g} seconds; {wires.LINGER_BYTES:,}",
        f"{wires.MAX_BYTES:,}; {wires.READ_BYTES:,}; {wires.WRITE_BYTES:,}",
        f"{turns.SLICE_SECONDS * 1e3:g} milliseconds in {turns.WINDOW_SECONDS * 1e3:g}",
        f"{listener.BACKLOG:,}; {listener.TAKEN_TOGETHER}",
        f"{listener.FULL_SECONDS:g} second",
        f"{trust.MAX_CHAIN}; {identity.MAX_NAMES}; {identity.MAX_ISSUER_CHARACTERS:,}",
        f"{trust.MAX_REMEMBERED:,}, an hour; {trust.MAX_DOUBTED}, a minute",
        f"{identity.MAX_KNOWN}",
        f"{tls.MAX_FILE_BYTES:,}; {trust.MAX_LIST_BYTES:,}",
        f"{dialback.VERIFYING}; {dialback.VERIFYING_EACH}; {dialback.ENDPOINTS}; {dialback.VERIFYING_SECONDS:g}",
        f"{asking.ANSWER_BYTES:,}",
        f"{door.CLOSING_SECONDS:g} seconds",
    ]
    assert [found[: len(each)] for found, each in zip(page, wanted, strict=True)] == wanted


def test_the_page_has_every_doubt() -> None:
    page = [row[0] for row in table_rows(PAGE, "what the log says (`certificate_doubted`)", "means")]
    assert {name.strip("`") for row in page for name in row.split(", ")} == set(Doubt) - {Doubt.NONE_SHOWN}
