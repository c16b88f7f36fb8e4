"""Which assertions can say nothing in a table, because they read what only a live session has (rule R11; pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from clearinghouse.clearing.vocabulary import OPERATIONS, Door
from clearinghouse.federation.levels.judging import FEDERATE
from clearinghouse.keynote import Admitted, syntax

LIVE: Final = frozenset(each.name for each in OPERATIONS[FEDERATE].attributes.values() if Door.TABLE not in each.doors)
"""Facts about a connection that no table has, such as `tls_version`."""


@dataclass(frozen=True, slots=True)
class OnlyLive:
    """An assertion some of whose clauses read ``names``; ``all_of_it`` says that each of its clauses does."""

    assertion: Admitted
    clauses: tuple[int, ...]
    names: tuple[str, ...]
    all_of_it: bool

    def sentence(self) -> str:
        """Say it as operators want to read it."""
        names = " and ".join(f"`{each}`" for each in self.names)
        what = "nothing that it says" if self.all_of_it else f"nothing that its clause {', '.join(map(str, self.clauses))} says"
        return f"{what} counts in a table: it reads {names}, which only a live connection has"


def only_live(assertions: Iterable[Admitted]) -> Iterator[OnlyLive]:
    """Yield those of *assertions* that read facts of a live session, with what they read.

    They count where a server asks about a connection.  For a table they are refused, whatever their conditions
    would give: an attribute that nobody has set reads as the empty text (rule R7).
    """
    for assertion in assertions:
        tree = assertion.tree()
        if tree.conditions is None:
            continue
        constants = {name for name, _ in tree.constants}
        found = {number: _live(clause, constants) for number, clause in enumerate(tree.conditions.clauses, start=1)}
        names = dict.fromkeys(name for names in found.values() for name in names)
        if names:
            clauses = tuple(number for number, names in found.items() if names)
            yield OnlyLive(assertion, clauses, tuple(names), len(clauses) == len(found))


def _live(clause: syntax.Clause, constants: set[str]) -> tuple[str, ...]:
    names = (node.name for node in syntax.nodes(clause) if isinstance(node, syntax.Attribute) and node.name not in constants)
    return tuple(dict.fromkeys(name for name in names if name in LIVE))
