# ruff: noqa: INP001, T201 - a script beside the page that it writes
"""Write ``docs/reference/attributes.md`` from the vocabulary, which alone decides what it says.

usage: python docs/attributes.py            write the page
       python docs/attributes.py --check    write nothing, exit status 1 if the page is not as it should be
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from clearinghouse.clearing.vocabulary import GROUPS, OPERATIONS, Attribute, Door, Kind, Operation, Origin, operations_of

PAGE = Path(__file__).resolve().parent / "reference/attributes.md"

INTRODUCTION = """\
% Written by docs/attributes.py from clearinghouse/clearing/vocabulary.py: edit that, then run `python docs/attributes.py`.

# Attributes

Every action attribute that a policy may read, by operation. A condition trusts every attribute that it reads, so who sets one
decides what it is worth:

| set by | meaning |
|---|---|
| observed | the door measured it; a requester that sets it makes the request malformed |
| ours | the clearinghouse knows it: clock, settings, store; a requester that sets it makes the request malformed |
| parameter | the requester asks for it; it narrows the effect, and `*` means that it does not |
| statement | the requester says it about the world; it counts only where a credential by somebody else tests it |

A claim whose name differs from an observed or own attribute only in case or underscores makes the request malformed as well.
A policy that reads an attribute which none of its group's operations has is refused when it is loaded.

An answer's **effect** goes no further than what the proof has read: each of its dimensions must be tested by an assertion on
the chain, or the answer is `unbound-effect`. Dimensions in brackets are tied by the requester's own name and need no test.
"""

FORMS = {
    Kind.TEXT: "any text without NUL",
    Kind.INTEGER: "decimal without leading zeros or plus, 32 bits",
    Kind.DOMAIN: "lower-case A-labels without a final dot",
    Kind.DOMAINS: "a domain, or `*` for all of them",
    Kind.JID: "bare JID, its localpart as RFC 7622 prepares it",
    Kind.DATE: "`YYYYMMDD`",
    Kind.TIME: "`YYYYMMDDhhmmss`",
    Kind.YES_NO: "`yes` or `no`",
    Kind.DIGEST: "64 hexadecimal digits",
}
DOORS = {
    Door.BROKER: "a subscription form of a publish-subscribe service, or a platform's own request about a topic",
    Door.ENVELOPE: "a signed request; its signers are the requesters",
    Door.TABLE: "the builder of level tables",
    Door.STREAM: "a server-to-server stream whose peer is authenticated",
    Door.UNPROVEN: "a server-to-server stream whose peer has proven nothing; the requester is `unproven`, and a policy must name it",
    Door.OPERATOR: "the command line on the clearinghouse's own host, whose kernel says who is there: `unix:user`",
    Door.CHAT: "a command in a chat client; the component's host vouches for the JID (rule R10)",
    Door.DESK: "all who have approved one case, asking together (rule R3); each was vouched for where they approved",
}


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION, _common(), *(_group(group) for group in GROUPS), _forms(), _doors()]
    return "\n".join(parts)


def _common() -> str:
    rows = [next(iter(OPERATIONS.values())).attributes[name] for name in _shared()]
    return f"## Every operation\n\n{_table(rows, frozenset(Door))}"


def _shared() -> list[str]:
    """Return the attributes that every operation has, in the vocabulary's order."""
    first, *others = OPERATIONS.values()
    return [name for name, row in first.attributes.items() if all(other.attributes.get(name) == row for other in others)]


def _group(group: str) -> str:
    return "\n".join([f"## Policies in `{group}/`\n", *(_section(same) for same in _alike(operations_of(group)))])


def _alike(operations: tuple[Operation, ...]) -> Iterator[list[Operation]]:
    """Yield the operations together that have the same attributes, values and effect."""
    left = list(operations)
    while left:
        same = [each for each in left if _likeness(each) == _likeness(left[0])]
        left = [each for each in left if each not in same]
        yield same


def _likeness(operation: Operation) -> tuple[object, ...]:
    return tuple(operation.attributes.items()), operation.values, operation.effect, operation.by_requester


def _section(operations: list[Operation]) -> str:
    one = operations[0]
    shared = _shared()
    values = ", ".join(f"`{value}`" for value in one.values) if one.values else "`deny`, then the community's levels, in their order"
    effect = ", ".join(f"(`{name}`)" if name in one.by_requester else f"`{name}`" for name in one.effect) or "the whole clearinghouse"
    names = ", ".join(f"`{operation.name}`" for operation in operations)
    doors = ", ".join(sorted(_here(one)))
    rows = [row for name, row in one.attributes.items() if name not in shared]
    return f"### {names}\n\nValues: {values}. Effect: {effect}. Doors: {doors}.\n\n{_table(rows, _here(one))}"


def _here(operation: Operation) -> frozenset[Door]:
    """Return the doors at which an operation's own attributes are set."""
    return frozenset(door for name, row in operation.attributes.items() if name not in _shared() for door in row.doors)


def _table(rows: list[Attribute], doors: frozenset[Door]) -> str:
    lines = ["| attribute | form | set by | meaning |", "|---|---|---|---|"]
    for row in rows:
        only = "" if row.doors >= doors else f" ({', '.join(sorted(row.doors))} only)"
        default = "" if row.origin is not Origin.PARAMETER else "; `*` unless given"
        lines.append(f"| `{row.name}` | {row.kind} | {row.origin}{only} | {row.meaning}{default} |")
    return "\n".join([*lines, ""])


def _forms() -> str:
    rows = [f"| {kind} | {FORMS[kind]} |" for kind in Kind]
    return "\n".join(["## Forms\n", "A value of another form makes the request malformed.\n", "| form | is |", "|---|---|", *rows, ""])


def _doors() -> str:
    rows = [f"| {door} | {DOORS[door]} |" for door in Door]
    return "\n".join(["## Doors\n", "| door | requests come from |", "|---|---|", *rows, ""])


def main(arguments: list[str]) -> int:
    """Do what the usage says and return the exit status."""
    if arguments == ["--check"]:
        return 0 if PAGE.exists() and PAGE.read_text() == page() else 1
    if arguments:
        print(__doc__)
        return 2
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
