"""Step 3: run the engine over the snapshot and the credentials that came with the request."""

from __future__ import annotations

from clearinghouse.clearing.facts import Facts
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.clearing.soundness import Less, Proven, flaw_of, soundest
from clearinghouse.errors import HolderError, TooLarge
from clearinghouse.keynote import Admissions, Admitted, Assertions, Budget, Limits, Proof, Refused


def prove(
    facts: Facts,
    snapshot: Snapshot,
    values: tuple[str, ...],
    *,
    credentials: tuple[bytes, ...],
    admissions: Admissions,
    budget: Budget,
    limits: Limits,
) -> Proven:
    """Return the compliance value of the facts with its proof, the strongest that is sound.

    *credentials* are admitted one by one as what a stranger sends: a bad one is left out and named
    in the proof, and none enters the snapshot or the engine's memory of shapes (rule R20).
    Raises :class:`BudgetExhausted` and :class:`TooLarge`, which are no answer.
    """
    assertions = snapshot.assertions(facts.operation.group)
    if credentials:
        assertions = _overlaid(assertions, credentials, admissions, budget, limits)

    def query(less: Less) -> Proof:
        names = [each for each in less if isinstance(each, str)]
        fewer = assertions.without((each for each in less if isinstance(each, bytes)), principals=names) if less else assertions
        return fewer.query(authorizers=facts.requesters, action=facts.attributes, values=values, budget=budget)

    return soundest(query, lambda proof: flaw_of(facts, snapshot.elsewhere(facts.operation.group), proof))


def _overlaid(assertions: Assertions, credentials: tuple[bytes, ...], admissions: Admissions, budget: Budget, limits: Limits) -> Assertions:
    if len(credentials) > limits.assertions:
        raise TooLarge(f"a request hands in {len(credentials)} credentials", mend=f"at most {limits.assertions} are read (`assertions`)")
    if sum(map(len, credentials)) > limits.request_bytes:
        raise TooLarge(
            "the credentials of a request are too long together", mend=f"at most {limits.request_bytes} bytes are read (`request_bytes`)"
        )
    admitted: list[Admitted] = []
    refused: list[Refused] = []
    for index, raw in enumerate(credentials):
        try:
            admitted.append(admissions.admit(raw, limits=limits, budget=budget, learn=False, source=f"credential {index + 1}"))
        except (HolderError, TooLarge) as error:
            refused.append(Refused(f"credential {index + 1}", index, error, raw))
    return assertions.with_credentials(admitted, refused=refused)
