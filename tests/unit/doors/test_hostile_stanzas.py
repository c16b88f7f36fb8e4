"""Whatever anybody sends: one answer to each question, nothing of it repeated to strangers, and no mistake of ours."""

from __future__ import annotations

import asyncio
from xml.etree.ElementTree import Element, tostring

from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.clearing.people import KeptCredential
from clearinghouse.grid.namespaces import CLEARINGHOUSE, CLIENT, COMMANDS, DATA_FORMS, DISCO_INFO, DISCO_ITEMS, IODEF, RSM, STANZA_ERRORS
from clearinghouse.grid.topics import Topic
from tests.unit.doors.client import ANN, US, Counter
from tests.unit.doors.paper import BROKER, PaperOffice, PaperReception, case_of, grant_of

MARK = "qqq"
"""In whatever strangers write, and in nothing that we write."""

_IDS = st.from_regex(r"[0-9a-f]{0,32}", fullmatch=True)
WORDS = st.one_of(
    st.sampled_from(["", "pending", "grants", "revoke", "credentials", "add-credential", "explain", "execute", "next", "complete", "prev"]),
    st.sampled_from(["cancel", "submit", "form", "choice", "other", "decision", "approve", "deny", "text", "name", "kind", "principal"]),
    st.sampled_from(["publish", "create", BROKER, "incidents", "1", "0", "-1", "true", COMMANDS, "FORM_TYPE", "case1", "x" * 300]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufffe\uffff"), max_size=20).map(MARK.__add__),
    _IDS,
)
TAGS = [
    *(f"{{{COMMANDS}}}{name}" for name in ("command", "actions", "note")),
    *(f"{{{DATA_FORMS}}}{name}" for name in ("x", "field", "value", "option")),
    *(f"{{{CLEARINGHOUSE}}}{name}" for name in ("request", "envelope", "decision")),
    *(f"{{{RSM}}}{name}" for name in ("set", "max", "after", "before", "index")),
    f"{{{DISCO_INFO}}}query",
    f"{{{DISCO_ITEMS}}}query",
]
NAMES = ["node", "action", "sessionid", "type", "var", "operation", "broker", "topic", "payload-type", "title", "seconds", "receipt"]


def element(tag: str, attributes: dict[str, str], text: str, children: list[Element]) -> Element:
    made = Element(tag, attributes)
    made.text = text
    made.extend(children)
    return made


TREES = st.recursive(
    st.builds(element, st.sampled_from(TAGS), st.dictionaries(st.sampled_from(NAMES), WORDS, max_size=5), WORDS, st.just([])),
    lambda inner: st.builds(
        element,
        st.sampled_from(TAGS),
        st.dictionaries(st.sampled_from(NAMES), WORDS, max_size=5),
        WORDS,
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)
QUESTIONS = st.tuples(st.sampled_from(["get", "set"]), st.lists(TREES, max_size=2))


def house() -> Counter:
    office = PaperOffice()
    office.open(case := case_of("a@b.example", identity="case1"))
    office.held[case.id] = grant_of(case)
    office.kept["1"] = KeptCredential("1", b"Authorizer: x\n", "run time")
    return Counter(PaperReception(office, {ANN: "ann"}, (Topic(BROKER, "incidents", IODEF),)))


async def ask_all(counter: Counter, sender: str, questions: list[tuple[str, list[Element]]]) -> None:
    for number, (kind, payloads) in enumerate(questions):
        iq = Element(f"{{{CLIENT}}}iq", {"from": sender, "to": US, "id": f"h{number}", "type": kind})
        iq.extend(payloads)
        counter.exchange.receive(iq)
        await counter.exchange.counter.close()


def answers(sender: str, questions: list[tuple[str, list[Element]]]) -> list[Element]:
    counter = house()
    asyncio.run(ask_all(counter, sender, questions))
    assert [each.get("id") for each in counter.written] == [f"h{number}" for number in range(len(questions))]
    assert not any(each.find(f".//{{{STANZA_ERRORS}}}internal-server-error") is not None for each in counter.written)
    return counter.written


@settings(max_examples=150, deadline=None)
@given(st.lists(QUESTIONS, min_size=1, max_size=4))
def test_people_get_one_answer_to_each_question(questions: list[tuple[str, list[Element]]]) -> None:
    answers(f"{ANN}/x", questions)


@settings(max_examples=150, deadline=None)
@given(st.lists(QUESTIONS, min_size=1, max_size=4))
def test_strangers_get_one_answer_and_nothing_of_theirs(questions: list[tuple[str, list[Element]]]) -> None:
    assert not any(MARK.encode() in tostring(each) for each in answers("x@evil.example/1", questions))


def test_every_command_can_be_begun_by_such_questions() -> None:
    """The generator reaches what it is meant to reach."""
    begun = answers(
        f"{ANN}/x", [("set", [element(TAGS[0], {"node": name, "action": "execute"}, "", [])]) for name in ("pending", "revoke")]
    )
    assert [each[0].get("status") for each in begun] == ["executing", "executing"]
