"""What lasts is not said each second, and what comes back is said at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clearinghouse.agent.home.sparing import REPEAT_SECONDS, Sparing
from clearinghouse.agent.sources.failover import Failover
from clearinghouse.agent.sources.files import Files
from clearinghouse.agent.sources.source import SourceUnavailable


def test_the_same_is_said_once_and_again_after_a_while() -> None:
    now = [0.0]
    sparing = Sparing(lambda: now[0])
    assert [sparing.says("a"), sparing.says("a"), sparing.says("b")] == [True, False, True]
    now[0] = REPEAT_SECONDS - 1
    assert not sparing.says("a")
    now[0] = REPEAT_SECONDS
    assert sparing.says("a")
    assert not sparing.says("a")


def test_what_was_over_and_begins_again_is_said() -> None:
    sparing = Sparing(lambda: 0.0)
    assert not sparing.over()
    assert sparing.says("a")
    assert sparing.says("b")
    assert (sparing.over("a"), sparing.over("a")) == (True, False)
    assert (sparing.says("a"), sparing.says("b")) == (True, False)
    assert sparing.over()
    assert sparing.says("b")


async def test_a_source_that_is_away_is_told_of_once_and_again_after_it_was_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "community"
    source = Failover([Files(place)])
    for _ in range(3):
        with pytest.raises(SourceUnavailable):
            await source.fetch("root/1", limit=10)
    assert capfd.readouterr().out.count("source_unavailable") == 1
    (place / "root").mkdir(parents=True)
    (place / "root/1").write_bytes(b"{}")
    assert await source.fetch("root/1", limit=10) == b"{}"
    shutil.rmtree(place)
    with pytest.raises(SourceUnavailable):
        await source.fetch("root/1", limit=10)
    assert "source_unavailable" in capfd.readouterr().out
