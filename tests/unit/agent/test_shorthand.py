from __future__ import annotations

from pathlib import Path

import pytest

from clearinghouse.agent.applying.shorthand import LocalPolicy, UnknownLevel, admitting_texts, policies_of
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.keynote import POLICY
from clearinghouse.settings.agent import Admitting, AgentSettings, Packet, Stanzas
from clearinghouse.settings.reading import parse_agent_settings
from tests.agent.houses import settings_text

LEVELS = ("deny", "level-1", "level-2", "level-3")
BELIEVED = Snapshot.of({}, ())


def settings(**more: str) -> AgentSettings:
    return parse_agent_settings(settings_text("0" * 64, **more), file="agent.toml", directory=Path("/srv"))


@pytest.mark.parametrize(
    "admitting, levels",
    [
        (Admitting(minimum="level-2"), ["level-2", "level-3"]),
        (Admitting(levels=("level-3", "level-1")), ["level-1", "level-3"]),
        (Admitting(minimum="level-3", levels=("level-1",)), ["level-1", "level-3"]),
        (Admitting(minimum="deny"), ["level-1", "level-2", "level-3"]),
        (Admitting(levels=("deny",)), []),
        (Admitting(), []),
    ],
)
def test_each_admitted_level_is_one_policy_and_the_lowest_never_is(admitting: Admitting, levels: list[str]) -> None:
    texts = list(admitting_texts(admitting, (), LEVELS))
    assert [f'Conditions: level == "{level}" -> "allow";\n' in text for level, text in zip(levels, texts, strict=True)] == [True] * len(
        levels
    )


def test_kinds_of_stanza_are_said_for_each_direction() -> None:
    stanzas = (
        Stanzas(level="level-2", inbound=(Packet.MESSAGE, Packet.IQ), outbound=()),
        Stanzas(level="level-3", inbound=(), outbound=()),
    )
    first, second = admitting_texts(Admitting(minimum="level-2"), stanzas, LEVELS)
    assert '&& ((direction == "in" && (kind == "iq" || kind == "message"))) -> "allow"' in first
    assert "&& (false)" in second


@pytest.mark.parametrize(
    "admitting, stanzas",
    [(Admitting(minimum="level-9"), ()), (Admitting(levels=("level-9",)), ()), (Admitting(), (Stanzas(level="level-9"),))],
)
def test_a_level_that_there_is_not_is_refused(admitting: Admitting, stanzas: tuple[Stanzas, ...]) -> None:
    with pytest.raises(UnknownLevel, match="level-9"):
        list(admitting_texts(admitting, stanzas, LEVELS))


def test_what_is_written_out_is_policy_by_the_rules_of_files() -> None:
    found = policies_of(settings(), LEVELS)
    assert {group: [each.authorizer for each in loaded] for group, loaded in found.items()} == {
        "admit": [POLICY, POLICY],
        "override": [POLICY],
    }


def test_the_same_snapshot_is_given_while_nothing_changes() -> None:
    """Whoever remembers answers by it would forget them all each time that somebody asks about an override."""
    policy = LocalPolicy(settings(), lambda: BELIEVED)
    first = policy.snapshot(LEVELS)
    assert policy.snapshot() is policy.snapshot(())
    assert policy.snapshot(LEVELS) is first
