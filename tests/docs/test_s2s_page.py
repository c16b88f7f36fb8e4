"""The page about streams between servers shows the table that the machine runs by, and its limits."""

from __future__ import annotations

from collections.abc import Iterator

from clearinghouse.doors.s2s import headers, sasl, stream, tokens
from clearinghouse.doors.s2s.table import TABLE, Input, State, Step
from tests.docs.pages import ROOT, table_rows

PAGE = ROOT / "docs/reference/s2s.md"


def rows() -> Iterator[tuple[str, str, str, str]]:
    """The table as the page has it: inputs of a state to which it does the same stand together."""
    for state, inputs in TABLE.items():
        same: dict[Step, list[Input]] = {}
        for found, step in inputs.items():
            same.setdefault(step, []).append(found)
        for step, together in same.items():
            told = f"{step.act}: `{step.condition}`" if step.condition else str(step.act)
            yield f"`{state}`", ", ".join(map(shown, together)), told, f"`{step.then}`"


def shown(found: Input) -> str:
    if found.startswith("<"):
        tag, _, more = found.partition(", ")
        return f"`{tag}`" + (f" ({more})" if more else "")
    return f"`{found}`" if found.endswith("()") else str(found)


def test_the_page_has_the_table() -> None:
    assert list(table_rows(PAGE, "state", "what comes", "the stream", "then")) == list(rows())


def test_the_page_names_each_state() -> None:
    assert [row[0].strip("`") for row in table_rows(PAGE, "state", "what it is")] == list(State)


def test_the_page_has_the_limits() -> None:
    page = {row[0]: row[1] for row in table_rows(PAGE, "limit", "number", "where")}
    assert page == {
        "bytes of a header, or of an element with what it holds": f"{tokens.MAX_ELEMENT_BYTES:,}",
        "attributes of an element": str(tokens.MAX_ATTRIBUTES),
        "elements inside each other, the stream being the first": str(tokens.MAX_DEPTH),
        "`>` in one element": str(tokens.MAX_PIECES),
        "bytes held back while the door decides": f"{stream.MAX_HELD_BYTES:,}",
        "bytes of a header that is remembered; headers": f"{headers.MAX_REMEMBERED_BYTES:,}; {headers.REMEMBERED}",
        "SASL exchanges of one connection": str(sasl.ATTEMPTS),
        "`<db:verify/>` of one connection": str(stream.VERIFICATIONS),
    }


if __name__ == "__main__":
    print("\n".join(f"| {' | '.join(row)} |" for row in rows()))  # noqa: T201 - to be pasted into the page
