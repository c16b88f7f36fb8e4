"""Where a redirected peer is sent, and how that is written: every value is read back, as RFC 6120 and ejabberd read it."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearinghouse.federation.published.members import Endpoint
from clearinghouse.federation.redirection.places import TURN_SECONDS, place_of, written
from tests.world import NOON

PAIR = ("a.example", "b.example")


def read(value: str) -> tuple[str, int]:
    """Return host and port of a `see-other-host`: of an authority in a URI (RFC 3986, section 3.2), 5269 where it has no port.

    Written from the standard, not from what we write.  ejabberd takes an IPv4 address in brackets as well.
    """
    bracketed = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::([1-9][0-9]{0,4}))?", value)
    plain = re.fullmatch(r"([A-Za-z0-9.-]+)(?::([1-9][0-9]{0,4}))?", value)
    found = bracketed or plain
    assert found is not None, value
    if bracketed:
        ip_address(found[1])
    return found[1], int(found[2] or 5269)


def ejabberd_reads(value: str) -> tuple[str, int]:
    """Return what ejabberd 23.01 decodes: `[address]:port`, `[address]`, or else all of it as a host."""
    found = re.fullmatch(r"\[([^]]+)\](?::([0-9]+))?", value)
    return (found[1], int(found[2] or 5269)) if found else (value, 5269)


LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
NAMES = st.builds(".".join, st.lists(LABELS, min_size=1, max_size=4))
ADDRESSES = st.ip_addresses().map(str)
PORTS = st.one_of(st.just(5269), st.integers(1, 65_535))


@given(st.one_of(NAMES, ADDRESSES), PORTS)
def test_every_written_place_is_read_back(host: str, port: int) -> None:
    value = written(Endpoint(host, port))
    assert value is not None
    found, number = read(value)
    assert number == port
    assert ip_address(found) == ip_address(host) if _is_address(host) else found == host
    assert value.endswith(f":{port}") is (port != 5269) or ":" in host


@given(ADDRESSES, PORTS)
def test_ejabberd_reads_every_address_with_its_port(host: str, port: int) -> None:
    value = written(Endpoint(host, port))
    assert value is not None
    found, number = ejabberd_reads(value)
    assert (ip_address(found), number) == (ip_address(host), port)


@given(NAMES)
def test_ejabberd_reads_a_name_at_the_usual_port(host: str) -> None:
    assert ejabberd_reads(written(Endpoint(host)) or "") == (host, 5269)


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


@pytest.mark.parametrize(
    "endpoint, value",
    [
        (Endpoint("xmpp.b.example"), "xmpp.b.example"),
        (Endpoint("xmpp.b.example", 5270), "xmpp.b.example:5270"),
        (Endpoint("Bücher.example."), "xn--bcher-kva.example"),
        (Endpoint("192.0.2.7"), "192.0.2.7"),
        (Endpoint("192.0.2.7", 5270), "[192.0.2.7]:5270"),
        (Endpoint("2001:DB8::7"), "[2001:db8::7]"),
        (Endpoint("2001:db8::7", 5270), "[2001:db8::7]:5270"),
        (Endpoint("::ffff:192.0.2.7"), "[::ffff:c000:207]"),
    ],
)
def test_examples(endpoint: Endpoint, value: str) -> None:
    assert written(endpoint) == value


@pytest.mark.parametrize(
    "host", ["fe80::1%eth0", "[::1]", "a_b.example", "a..example", "192.0.2.300", "a.example/x", "a@b.example", "x" * 300, "-a.example"]
)
def test_what_no_peer_could_go_to_is_not_written(host: str) -> None:
    assert written(Endpoint(host)) is None
    assert written(Endpoint("a.example", 0)) is None
    assert place_of([Endpoint(host), Endpoint("h.example")], PAIR, NOON) == "h.example"


def test_nobody_is_sent_to_an_endpoint_for_direct_tls() -> None:
    direct = Endpoint("direct.example", 5270, "direct")
    assert place_of([direct], PAIR, NOON) is None
    assert place_of([direct, Endpoint("h.example")], PAIR, NOON) == "h.example"
    assert place_of([], PAIR, NOON) is None


@given(st.lists(NAMES, min_size=2, max_size=5, unique=True), NAMES, NAMES, st.integers(0, 10_000))
def test_each_of_several_has_its_turn_in_the_order_on_record(hosts: list[str], asking: str, wanted: str, seconds: int) -> None:
    endpoints, pair, now = [Endpoint(each) for each in hosts], (asking, wanted), NOON + timedelta(seconds=seconds)
    turns = [place_of(endpoints, pair, now + timedelta(seconds=TURN_SECONDS * each)) for each in range(2 * len(hosts))]
    begin = hosts.index(str(turns[0]))
    assert turns == [hosts[(begin + each) % len(hosts)] for each in range(2 * len(hosts))]
    assert place_of(endpoints, pair, now) == turns[0], "the same at every node"


def test_pairs_are_spread_over_the_endpoints() -> None:
    endpoints = [Endpoint(f"h{each}.example") for each in range(4)]
    chosen = {place_of(endpoints, (f"n{each}.example", "b.example"), NOON) for each in range(100)}
    assert len(chosen) == 4
