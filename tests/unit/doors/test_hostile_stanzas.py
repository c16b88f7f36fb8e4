"""Whatever anybody sends: one answer to each question, nothing of it repeated to strangers, and no mistake of ours."""

from __future__ import annotations

import asyncio
from xml.etree.ElementTree import Element, tostring

from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghouse.clearing.people import KeptCredential
from clearinghouse.grid.commands import COMMAND, Command
from clearinghouse.grid.forms import write_form
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


def _command(node: str, fields: list[tuple[str, str]], session: str = "") -> Element:
    """Return a step; of fields with the same name the last counts."""
    attributes = {"node": node, "action": "execute"} | ({"sessionid": session} if session else {})
    return element(COMMAND, attributes, "", [write_form("submit", "urn:x", dict(fields))] if fields else [])


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
COMMANDS_IN_A_ROW = st.builds(
    lambda node, fields: [("set", [step]) for step in (_command(node, []), _command(node, fields, "1"), _command(node, fields, "1"))],
    st.sampled_from([each.value for each in Command]),
    st.dictionaries(st.sampled_from(["choice", "other", "decision", "text", "name", "kind", "reason", "period"]), WORDS).map(
        lambda found: [
            *{"other": "case1", "decision": "approve", "name": "ed25519-hex:1", "kind": "below", "text": "Authorizer:"}.items(),
            *found.items(),
        ]
    ),
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
        _go_on(counter, payloads)
        counter.exchange.receive(iq)
        await counter.exchange.counter.close()


def _go_on(counter: Counter, payloads: list[Element]) -> None:
    """Let commands with a session go on with the one that was begun last."""
    begun = counter.written[-1].find(COMMAND) if counter.written else None
    for payload in payloads:
        if payload.tag == COMMAND and "sessionid" in payload.attrib and begun is not None:
            payload.attrib |= {"sessionid": begun.get("sessionid", ""), "node": begun.get("node", "")}


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
@given(COMMANDS_IN_A_ROW)
def test_people_can_fill_in_whatever_they_like(questions: list[tuple[str, list[Element]]]) -> None:
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
