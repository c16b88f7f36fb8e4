"""Texts whose value does not depend on a request: literals, constants, and what they build."""

from __future__ import annotations

from collections.abc import Mapping

from clearinghouse.keynote import syntax
from clearinghouse.keynote.limits import Limits

_LONGEST = Limits().attribute_bytes
"""Octets; 8 kB of constants and names could join to 8 MB."""


def fold(node: syntax.Text, constants: Mapping[str, str]) -> str | None:
    """Return the value of *node* from literals and *constants* alone, or ``None``.

    ``None`` means that the value depends on the request: an action attribute, a special attribute,
    or a capture.  So does a text that is longer than a request may build: it is a run-time error.
    """
    match node:
        case syntax.Literal(text):
            return text
        case syntax.Attribute(name):
            return constants.get(name)
        case syntax.Indirect(term):
            named = fold(term, constants)
            return None if named is None else constants.get(named)
        case syntax.Join(parts):
            folded = [fold(part, constants) for part in parts]
            known = [part for part in folded if part is not None]
            return "".join(known) if len(known) == len(folded) and sum(map(len, known)) <= _LONGEST else None
