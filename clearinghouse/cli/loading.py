"""Policies and credentials for one question: what can be loaded counts, and the rest is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from clearinghouse.cli.output import Located
from clearinghouse.cli.reading import Piece, located, pieces
from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import Admitted, Assertions, Limits, Refused, admit


@dataclass(frozen=True, slots=True)
class Loaded:
    """The assertions of one question, and a problem for each that was left out.

    ``pieces`` are where the assertions were read, by id.
    """

    assertions: Assertions
    admitted: tuple[Admitted, ...]
    problems: tuple[Located, ...]
    pieces: dict[bytes, Piece]


def load(policies: Iterable[str], credentials: Iterable[str], *, allow_legacy: bool) -> Loaded:
    """Admit every assertion of the inputs; raises the first problem where no policy is left."""
    limits = Limits.local()
    found: dict[bool, list[Admitted]] = {True: [], False: []}
    places: dict[bytes, Piece] = {}
    problems: list[Located] = []
    for policy, given in ((True, policies), (False, credentials)):
        for piece in pieces(given):
            if isinstance(piece, Located):
                problems.append(piece)
                continue
            try:
                admitted = admit(piece.raw, policy=policy, allow_legacy=allow_legacy, limits=limits, source=piece.place)
            except ClearinghouseError as error:
                problems.append(located(error, piece))
            else:
                found[policy].append(admitted)
                places.setdefault(admitted.id, piece)
        if policy and problems and not found[True]:
            raise problems[0]
    refused = [Refused(problem.where, number, problem.error) for number, problem in enumerate(problems)]
    assertions = Assertions(policies=found[True], credentials=found[False], refused=refused, limits=limits)
    return Loaded(assertions, (*found[True], *found[False]), tuple(problems), places)
