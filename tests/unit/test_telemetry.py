from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from clearinghouse import telemetry
from clearinghouse.clearing.decision import Outcome
from clearinghouse.telemetry import NOISE, Throttle, decision_level, decision_line, harmless
from tests.world import Community

log = structlog.get_logger("clearinghouse.tests")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    telemetry.configure(stream=io.StringIO())


def lines(*, as_json: bool = False) -> io.StringIO:
    stream = io.StringIO()
    telemetry.configure(as_json=as_json, stream=stream)
    return stream


def test_a_line_for_people_says_when_what_and_the_rest() -> None:
    out = lines()
    log.info("topic_created", topic="incidents", note="two words", count=3, empty="", nothing=None)
    log.warning("left_out", file="a.kn")
    first, second = out.getvalue().splitlines()
    assert first[19:] == '  topic created  topic=incidents  note="two words"  count=3'
    assert first[:2] == "20"
    assert second[19:] == "  WARNING left out  file=a.kn"


def test_a_line_for_programs_is_one_json_object() -> None:
    out = lines(as_json=True)
    log.info("topic_created", topic="incidents", count=3)
    told = json.loads(out.getvalue())
    assert told.pop("timestamp").endswith("Z")
    assert told == {"event": "topic_created", "level": "info", "topic": "incidents", "count": 3}


@pytest.mark.parametrize("as_json", [False, True])
def test_whatever_others_wrote_cannot_act_on_a_terminal_or_hide(as_json: bool) -> None:  # noqa: FBT001 - a parameter
    out = lines(as_json=as_json)
    log.info("x", name="a\x1b[31m\r\nb\u202ec\u200b", inside=["\x07", {"k\x00": "\u2066"}])
    logging.getLogger("slixmpp").warning("from %s", "\x1b]0;title\x07")
    text = out.getvalue().replace("\n", "")
    assert text.isprintable()
    assert out.getvalue().count("\n") == 2


def test_secrets_have_no_name_here() -> None:
    out = lines()
    log.info("connecting", secret="hunter2", password="hunter2", token="hunter2", jid="ch.example")
    assert "hunter2" not in out.getvalue()
    assert "jid=ch.example" in out.getvalue()


def test_what_is_long_is_cut() -> None:
    told = harmless(None, "", {"event": "x", "text": "a" * 10_000})
    assert len(told["text"]) == telemetry.MAX_SHOWN + 3


def fail(text: str) -> None:
    raise ValueError(text)


def test_a_trace_keeps_its_lines() -> None:
    out = lines()
    try:
        fail("\x1b[31mred")
    except ValueError:
        log.exception("failed")
    rows = out.getvalue().splitlines()
    assert rows[0].endswith("ERROR failed")
    assert rows[1] == "Traceback (most recent call last):"
    assert rows[-1] == "ValueError: \\x1b[31mred"


def test_the_one_line_of_a_decision_has_what_an_operator_looks_for() -> None:
    sim = Community()
    sim.policy(licenses="hub", where='topic == "incidents"', value="allow")
    decision = sim.asks("eve@c.example")
    told = decision_line(decision)
    assert told["id"] == decision.id
    assert (told["value"], told["requester"], told["topic"], told["reason"]) == ("deny", "eve@c.example", "incidents", "no-licence")
    assert "a licence for" in told["because"]


def hub() -> Community:
    sim = Community()
    sim.policy(licenses="hub", where='topic == "incidents"', value="allow")
    sim.policy(licenses="xmpp-member:b.example", where='topic == "incidents"', value="ask")
    sim.delegate("hub", to="ann@a.example")
    return sim


def test_only_what_was_granted_is_never_noise() -> None:
    sim = hub()
    granted, pending, refused = (sim.asks(jid) for jid in ("ann@a.example", "bea@b.example", "eve@c.example"))
    sim.desk.senders.charge("xmpp:eve@c.example", 10**6, sim.now)
    unanswered = sim.asks("eve@c.example")
    assert unanswered.outcome is Outcome.UNANSWERED
    assert NOISE not in decision_line(granted)
    assert [decision_line(each).get(NOISE, "")[-9:] for each in (pending, refused, unanswered)] == ["b.example", "c.example", "c.example"]


def test_what_policy_says_is_told_and_everything_else_is_a_warning() -> None:
    sim = hub()
    assert {decision_level(sim.asks(jid)) for jid in ("ann@a.example", "bea@b.example", "eve@c.example")} == {logging.INFO}
    malformed = sim.asks("eve@c.example", without=["vouched_by"])
    sim.desk.senders.charge("xmpp:eve@c.example", 10**6, sim.now)
    exhausted = sim.asks("eve@c.example")
    sim.sleep(days=-1)
    behind = sim.asks("ann@a.example")
    assert (exhausted.reason.code, behind.reason.code) == ("budget-exhausted", "clock-behind")
    assert {decision_level(each) for each in (malformed, exhausted, behind)} == {logging.WARNING}


# -- noise ---------------------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def said(throttle: Throttle, sender: str | None) -> dict[str, object] | None:
    event = {"event": "refused"} | ({NOISE: sender} if sender is not None else {})
    try:
        return dict(throttle(None, "", event))
    except structlog.DropEvent:
        return None


def test_a_sender_is_told_of_a_few_times_and_then_counted() -> None:
    clock = Clock()
    throttle = Throttle(now=clock)
    told = [said(throttle, "eve") for _ in range(20)]
    assert told[:5] == [{"event": "refused"}] * 5
    assert set(map(str, told[5:])) == {"None"}
    clock.now += 11
    assert said(throttle, "eve") == {"event": "refused", "unsaid": 15}
    assert said(throttle, "eve") == {"event": "refused"}


def test_one_loud_sender_silences_nobody_else_and_all_together_are_bounded() -> None:
    throttle = Throttle(now=Clock())
    for _ in range(1000):
        said(throttle, "eve")
    assert said(throttle, "mallory") == {"event": "refused"}
    told = [said(throttle, f"stranger {number}") for number in range(500)]
    assert sum(each is not None for each in told) == throttle.together - 6
    assert said(throttle, None) == {"event": "refused"}  # what no stranger causes is always told


def test_senders_that_are_forgotten_take_no_memory() -> None:
    throttle = Throttle(now=Clock(), senders=10)
    for number in range(1000):
        said(throttle, f"stranger {number}")
    assert len(throttle._told) <= 10
    assert len(throttle._unsaid) <= 1000


def test_a_stream_that_is_closed_keeps_nobody_from_working() -> None:
    stream = io.StringIO()
    telemetry.configure(stream=stream)
    stream.close()
    structlog.get_logger("clearinghouse.test").info("said_to_nobody")
