"""The table is what a stream does: each state with each input, those that cannot come included."""

from __future__ import annotations

import re
from itertools import product

import pytest

from clearinghouse.doors.s2s.events import Authenticating, DialbackAsked, Ended, Event, Opened, StartTls
from clearinghouse.doors.s2s.stream import Stream
from clearinghouse.doors.s2s.table import TABLE, Act, Input, State
from clearinghouse.errors import InternalError
from tests.unit.doors.s2s.peers import SAID, TOO_MUCH, WORDS, brought

PAIRS = list(product(State, Input))

PLAIN = {State.UPGRADING, State.SECURING}
"""States that only a stream without TLS has."""

CANNOT_COME = {
    **dict.fromkeys((State.OPENED, State.AUTHENTICATING, State.DIALLED), "what is sent is held back"),
    State.UPGRADING: "any byte ends the stream",
    State.SECURING: "any byte ends the stream",
    State.ENDED: "nothing is read",
    State.HEADER: "what begins a stream is a header or a fault",
}
"""Why a peer's input has no row in a state."""

TOLD: dict[Input, type[Event]] = {
    Input.HEADER: Opened,
    Input.STARTTLS: StartTls,
    Input.AUTH: Authenticating,
    Input.RESPONSE: Authenticating,
    Input.RESULT: DialbackAsked,
}


def at(state: State, found: Input) -> Stream:
    plain = state in PLAIN or (state is State.CHOOSING and found is Input.STARTTLS)
    return brought(state, secure=not plain)


def given(made: Stream, found: Input) -> Event | None:
    """Give *found* to a stream."""
    if found in WORDS:
        WORDS[found](made)
        return None
    return made.receive(TOO_MUCH if found is Input.FAULT and TABLE[made.state][Input.BYTES].act is Act.HOLD else SAID[found])


@pytest.mark.parametrize("state, found", PAIRS, ids=[f"{state}, {found}" for state, found in PAIRS])
def test_a_stream_does_what_the_table_says(state: State, found: Input) -> None:
    made, step = at(state, found), TABLE[state].get(found)
    if step is None:
        cannot_come(made, found)
        return
    event = given(made, found)
    out = made.take()
    assert made.state is step.then
    assert does(step.act, found, event, out, step.condition)


def cannot_come(made: Stream, found: Input) -> None:
    """Whatever has no row is refused: a word of the door as our mistake, something of the peer's by another row."""
    before = made.state
    if found in WORDS:
        with pytest.raises(InternalError, match=r"came to a stream|was offered"):
            WORDS[found](made)
        assert (made.state, made.take()) == (before, b"")
    elif before in CANNOT_COME:
        event = made.receive(SAID[found])
        step = TABLE[before][Input.FAULT if before is State.HEADER else Input.BYTES]
        assert made.state is step.then
        assert isinstance(event, Ended | None)
    else:
        assert found in {Input.HEADER, Input.STARTTLS}  # a second header is a fault, and TLS is not offered where SASL is
        assert isinstance(made.receive(SAID[found]), Ended)


SENT = {
    **dict.fromkeys((Act.READ, Act.HOLD, Act.IGNORE, Act.STOP, Act.TELL, Act.RESTART), ""),
    Act.OFFER: r"<\?xml .*<stream:features>.*</stream:features>",
    Act.CHALLENGE: r"<challenge xmlns='[a-z:-]+sasl'/>",
    Act.FAIL_SASL: r"<failure xmlns='[a-z:-]+sasl'><CONDITION/></failure>",
    Act.FAIL_TLS: r"<failure xmlns='[a-z:-]+tls'/></stream:stream>",
    Act.FAIL_DIALBACK: r"<db:result .* type='error'>.*</db:result>",
    Act.DENY_VERIFY: r"<db:verify .* type='error'>.*<CONDITION .*</db:verify>",
    Act.PROCEED: r"<proceed xmlns='[a-z:-]+tls'/>",
    Act.SUCCEED: r"<success xmlns='[a-z:-]+sasl'/>",
    Act.ANSWER: r"(<\?xml .*)?<stream:error><see-other-host .*</stream:error></stream:stream>",
    Act.ERROR: r"(<\?xml .*)?<stream:error><CONDITION .*</stream:error></stream:stream>",
    Act.CLOSE: "</stream:stream>",
}
"""What each act sends; CONDITION is the one in the table, or any."""


def does(act: Act, found: Input, event: Event | None, out: bytes, condition: str) -> bool:
    """Whether *event* and *out* are what *act* is."""
    if re.fullmatch(SENT[act].replace("CONDITION", condition or "[a-z-]+"), out.decode()) is None:
        return False
    if act is Act.TELL:
        return isinstance(event, TOLD[found])
    return isinstance(event, Ended) or event is None


def test_every_state_takes_bytes_and_time_and_the_end_of_its_connection() -> None:
    for state, rows in TABLE.items():
        assert {Input.BYTES, Input.TIMEOUT, Input.END, Input.ANSWER} <= set(rows), state


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TABLE) == set(State)
    for state in State:
        assert any(step.then is state for other, rows in TABLE.items() for step in rows.values() if other is not state)
    assert {step.then for step in TABLE[State.ENDED].values()} == {State.ENDED}


def test_nothing_of_a_peer_leads_out_of_a_state_in_which_the_door_has_the_word() -> None:
    for state, rows in TABLE.items():
        if rows[Input.BYTES].act is Act.HOLD:
            assert {found for found in rows if found in SAID} == {Input.BYTES, Input.FAULT}
            assert rows[Input.BYTES].then is state
