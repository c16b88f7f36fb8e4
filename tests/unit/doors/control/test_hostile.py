"""Whatever a line holds, it gets one answer, and the office hears of it only when it is a request."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.clearing.people import Speaker
from clearinghouse.clearing.vocabulary import Door
from clearinghouse.doors.control.asking import Asking
from tests.offices import SmallOffice, a_case

WHO = Speaker("keeper", ("unix:keeper",), Door.OPERATOR)
NAMES = st.sampled_from(
    ["pending", "case", "approve", "deny", "grants", "end-grant", "explain", "revoke", "lift", "credentials", "credential-add", "submit"]
)
MEMBERS = st.sampled_from(
    ["id", "case", "shown", "subject", "topic", "seconds", "reason", "what", "name", "dry_run", "credential", "envelope"]
)
REQUESTS = st.fixed_dictionaries({"do": NAMES | st.text(max_size=5)}, optional={"with": st.dictionaries(MEMBERS, st.text(max_size=20))})
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part))


def office() -> SmallOffice:
    """Return an office in which the keeper may do everything."""
    return SmallOffice(frozenset({"unix:keeper"}), cases={"3f2a": a_case("3f2a")})


@pytest.mark.parametrize("kind", ["bytes", "json", "requests"])
@settings(max_examples=150)
@given(data=st.data())
async def test_every_line_has_one_answer(kind: str, data: st.DataObject) -> None:
    kinds = {"bytes": st.binary(max_size=200), "json": JSON.map(lambda each: json.dumps(each).encode())}
    line = data.draw(kinds.get(kind, REQUESTS.map(lambda each: json.dumps(each).encode())))
    found = office()
    answer = await Asking(found, dict).answered(WHO, line)
    assert isinstance(answer["ok"], bool)
    assert b"\n" not in json.dumps(answer).encode("ascii")
    if not answer["ok"]:
        assert answer["error"]["code"] != "internal"
        assert found.cases["3f2a"].open
