"""What conditions can read, whatever the request is: known of each shape, so that it is looked for once.

Whoever asks one question about many subjects needs to know which assertions may answer differently for
each, and when the clock can change an answer, without parsing a hundred thousand texts.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from clearinghouse.keynote import syntax
from clearinghouse.keynote.clock import DATE, TIME, ClockUse, mirrored
from clearinghouse.keynote.compiler import Function, Source, source_of
from clearinghouse.keynote.credential import Admitted
from clearinghouse.keynote.remembered import Remembered

_FUNCTIONS = 4_096
"""Functions whose uses are remembered, as many as shapes are."""
_CLOCKS = (DATE, TIME)
_CAPTURE = re.compile(r"_[0-9]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Uses:
    """``attributes`` may be read, ``specials`` are those of KeyNote itself; ``anything`` says that `$` may name any.

    ``clock`` are comparisons of the clock with what stands at a place of the constants; it is ``None`` where
    the clock is read in some other way.
    """

    attributes: frozenset[str] = frozenset()
    specials: frozenset[str] = frozenset()
    anything: bool = False
    clock: tuple[tuple[str, syntax.Relation, int], ...] | None = ()


_NONE = Uses()


def uses_of(assertion: Admitted) -> Uses:
    """Return what the conditions of *assertion* can read; its principals are not looked at."""
    function = assertion.function
    if function is None:
        return _NONE
    if source_of(function) is not None:
        return _compiled[function]
    program, names = assertion.constants
    return _uses(program, names, None)


def uses_by(function: Function) -> Uses | None:
    """Return what conditions with this *function* can read, ``None`` where it depends on the assertion."""
    return _compiled[function] if source_of(function) is not None else None


def clock_of(assertion: Admitted) -> ClockUse:
    """Return how the conditions of *assertion* read the clock, as :meth:`Admitted.clock_use` does."""
    clock, constants = uses_of(assertion).clock, assertion.constants
    if clock is None:
        return assertion.clock_use()
    return ClockUse(tuple((name, relation, constants[place]) for name, relation, place in clock), None)


def _of_function(function: Function) -> Uses:
    source = source_of(function)
    return _NONE if source is None else _uses(source.program, source.names, source)


_compiled: Remembered[Function, Uses] = Remembered(_of_function, _FUNCTIONS)


def _uses(program: syntax.Program, constants: Collection[str], source: Source | None) -> Uses:
    found = [node for node in syntax.nodes(program) if isinstance(node, syntax.Attribute | syntax.Indirect)]
    names = [node.name for node in found if isinstance(node, syntax.Attribute) and node.name not in constants]
    anything = len(found) > len([node for node in found if isinstance(node, syntax.Attribute)])
    return Uses(
        frozenset(name for name in names if not name.startswith("_")),
        frozenset(name for name in names if name.startswith("_") and not _CAPTURE.match(name)),
        anything,
        None if anything else _clock(program, [name for name in names if name in _CLOCKS], source),
    )


def _clock(
    program: syntax.Program, mentions: Collection[str], source: Source | None
) -> tuple[tuple[str, syntax.Relation, int], ...] | None:
    """Return the comparisons of the clock, ``None`` where there are *mentions* of it beside those."""
    if not mentions:
        return ()
    if source is None:
        return None
    compared = []
    for node in syntax.nodes(program):
        if isinstance(node, syntax.TextRelation):
            for clock, other, relation in ((node.left, node.right, node.relation), (node.right, node.left, mirrored(node.relation))):
                place = _place(other, source)
                if isinstance(clock, syntax.Attribute) and clock.name in mentions and place is not None:
                    compared.append((clock.name, relation, place))
    return tuple(compared) if len(compared) == len(mentions) else None


def _place(node: syntax.Text, source: Source) -> int | None:
    """Return where in the constants the value of *node* stands."""
    match node:
        case syntax.Literal():
            return node.slot
        case syntax.Attribute(name) if name in source.names:
            return source.literals + source.names.index(name)
        case _:
            return None
