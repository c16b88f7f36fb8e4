"""Whether a proof means what the authors of its assertions meant (rules R1, R5, R7, R8, R9 and R11; decision 0005).

KeyNote tells what follows from assertions.  It cannot tell that an author forgot a dimension of the
effect, relied on an attribute that nobody set, or believed what only the requester says.  A proof
with such a flaw grants nothing; the strongest proof without one is the answer, so that an assertion
which grants too much never takes away what another grants rightly.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush

from clearinghouse.clearing.facts import Facts
from clearinghouse.clearing.request import LOCAL_USER, user_of_server
from clearinghouse.clearing.vocabulary import EVERYTHING, NOBODY, PACKET_RULE, Door, Origin, domain_of, shown
from clearinghouse.keynote import POLICY, Admitted, Link, Proof
from clearinghouse.keynote.context import Context
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.principals import is_key

PROBES = ("\1\2\1\2", "\xfe\xff\xfe\xff")
"""Values that nobody writes, before and after every text in the order of octets; as a number each is 0."""

_ATTEMPTS = 32
"""Proofs looked at for one request: every one that leaves out some of five assertions."""

_LINK_STEPS = 20
"""Steps to tell how a link carried the value; measured at 40 us."""


Less = frozenset[bytes | str]
"""What a query does without: assertions by id, requesters by normal form."""
EVERYBODY: Less = frozenset()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as a stable code and as a sentence for those who may know (rule R22)."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Proven:
    """A proof; ``flaw`` says why it must not count, and is ``None`` for a sound one.

    ``first`` is the proof of the first of two queries, where there were two; ``approved_until`` is when the
    first of the approvals ends that carry the second (rule R2).  ``approvable`` says whether people could lift
    an `ask`: what is missing for more than that is theirs to give.
    """

    proof: Proof
    flaw: Reason | None
    first: Proof | None = None
    approved_until: datetime | None = None
    approvable: bool = False


def soundest(query: Callable[[Less], Proof], flaw_of: Callable[[Proof], Reason | None]) -> Proven:
    """Return the strongest proof without a flaw; where there is none, the strongest one with its flaw.

    *query* asks less some assertions and requesters.  Another proof than a flawed one does without
    one of its links or requesters at least, so these are taken away one by one, the strongest answer first.
    """
    first = query(EVERYBODY)
    flaws: list[Reason] = []
    asked = {EVERYBODY}
    waiting: list[tuple[int, int, Less, Proof | None]] = [(-first.level, 0, EVERYBODY, first)]
    while waiting and len(flaws) < _ATTEMPTS:
        bound, number, less, proof = heappop(waiting)
        if proof is None:  # less can only give less: it waits for its turn under its own level
            proof = query(less)
            heappush(waiting, (-proof.level, number, less, proof))
        elif bound == 0:
            break
        elif (flaw := flaw_of(proof)) is None:
            # What it was asked without is in nobody's way when it is explained; the first one knows its chain already.
            return Proven(first if proof is first else Proof(first.held, proof.context, proof.settled, proof.level), None)
        else:
            flaws.append(flaw)
            for fewer in (less | {each} for each in _rests_on(proof)):
                if fewer not in asked:
                    heappush(waiting, (bound, len(asked), fewer, None))
                    asked.add(fewer)
    return Proven(first, flaws[0] if flaws else None)


def _rests_on(proof: Proof) -> Iterator[bytes | str]:
    """Yield the ids of the links and the requesters, as people read them, that carry *proof*."""
    yield from (bytes.fromhex(link.id) for link in proof.chain)
    used = {name for link in proof.chain for name in link.licensees}
    yield from (name for name in map(from_octets, proof.authorizers) if name in used)


def flaw_of(facts: Facts, elsewhere: Collection[str], proof: Proof, desk: str = "") -> Reason | None:
    """Return the first flaw of *proof*; *elsewhere* are the principals that may have no say in this group (rule R1).

    The *desk* repeats what was asked for, so its word binds no claim (rule R8), and it asks for nothing itself.
    """
    carriers = {carrier.name: carrier for _, carrier in proof.settled.values() if carrier is not None}
    steps = [_Step(link, carriers[link.id], proof) for link in proof.chain]
    proof.context.budget.spend(_LINK_STEPS * len(steps))
    return (
        _foreign_requester(facts, steps, desk)
        or _two_roles(elsewhere, steps)
        or _unknown_fact(facts, steps)
        or _unbound_effect(facts, steps)
        or _unbound_claim(facts, steps, desk)
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """One link of the chain, with the assertion that it is about."""

    link: Link
    carrier: Admitted
    proof: Proof

    def binds(self, name: str) -> bool:
        """Say whether the assertion grants this for the value of *name* that was asked, and not for just any."""
        return self.carrier.function is not None and all(self._level_with(name, probe) < self.proof.level for probe in PROBES)

    def _level_with(self, name: str, value: str) -> int:
        context, carrier = self.proof.context, self.carrier
        context.budget.spend(carrier.cost)
        other = Context(context.requesters, {**context.action, name: value}, context.scale, context.limits, context.budget)
        return carrier.function(other, carrier.constants) if carrier.function else context.top


def _foreign_requester(facts: Facts, steps: list[_Step], desk: str) -> Reason | None:
    """R9, R11: the proof rests on requesters for whom the door can vouch, and on nobody else."""
    asking = {from_octets(name) for step in steps for name in step.proof.authorizers}
    licensed = asking & {name for step in steps for name in step.link.licensees}
    for name in sorted(licensed):
        if name == desk or not _vouched_for(facts, name):
            return Reason("foreign-requester", f"the {facts.door} door cannot vouch for `{shown(name)}` in this request")
    if facts.door is Door.UNPROVEN and not licensed:  # what anybody may, nobody meant for whoever proves nothing (rule R11)
        return Reason("foreign-requester", f"no assertion on the chain licenses `{NOBODY}`, and this peer has proven nothing")
    return None


def _vouched_for(facts: Facts, name: str) -> bool:
    match facts.door:
        case Door.BROKER:
            return name in user_of_server(facts.attributes["jid"], domain_of(facts.attributes["jid"]))
        case Door.STREAM | Door.TABLE:
            return is_key(name) or name == f"xmpp:{facts.attributes['from_domain']}"
        case Door.UNPROVEN:
            return name == NOBODY
        case Door.ENVELOPE:
            return is_key(name)
        case Door.OPERATOR:
            return _is_local_user(name)
        case Door.CHAT:
            return _is_chat_user(name)
        case Door.DESK:  # each was vouched for at the door where they approved
            return is_key(name) or _is_local_user(name) or _is_chat_user(name)


def _is_local_user(name: str) -> bool:
    return name.startswith(LOCAL_USER)


def _is_chat_user(name: str) -> bool:
    """Say whether *name* is that of an XMPP user or of all users of a domain; a server does not chat (rule R9)."""
    return name.startswith("xmpp-member:") or (name.startswith("xmpp:") and "@" in name)


def _two_roles(elsewhere: Collection[str], steps: list[_Step]) -> Reason | None:
    """R1: people and tables are not governed through a key that another group's policies license as well."""
    for name in (name for step in steps for name in (step.link.authorizer, *step.link.licensees)):
        if name in elsewhere:
            return Reason(
                "two-roles", f"`{shown(name)}` is licensed in another group, too: use a key of its own, or name it in `shared_keys`"
            )
    return None


def _unknown_fact(facts: Facts, steps: list[_Step]) -> Reason | None:
    """R7, R11: what nobody set grants nothing, though KeyNote reads it as the empty text and as 0."""
    for step in steps:
        for name in step.link.reads:
            if name not in facts.attributes and not name.startswith("_"):
                unset = f"which the {facts.door} door does not set for `{facts.operation.name}`"
                return Reason("fact-missing", f"assertion {step.link.id[:8]} reads `{shown(name)}`, {unset}")
    return None


def _unbound_effect(facts: Facts, steps: list[_Step]) -> Reason | None:
    """R5: each dimension of the effect is bound by some assertion, is the requester itself, or is tied to one that is bound."""
    for name in _dimensions(facts, steps):
        if name in facts.operation.by_requester and f"xmpp:{facts.attributes[name]}" in facts.requesters:
            continue
        if not any(step.binds(each) for step in steps for each in (name, facts.tied.get(name)) if each is not None):
            return Reason(
                "unbound-effect", f"no assertion on the chain says for which `{name}` it grants this: test `{name}` in the policy"
            )
    return None


def _dimensions(facts: Facts, steps: list[_Step]) -> Iterator[str]:
    """Yield the effect's dimensions, those of a packet rule where one is asked for, and each parameter that was read."""
    yield from facts.operation.effect_at(facts.door)
    rule = [name for name in PACKET_RULE if facts.attributes.get(name, EVERYTHING) != EVERYTHING]
    if facts.operation.name == "whitelist" and rule:
        yield from dict.fromkeys((*PACKET_RULE[:2], *rule))
    read = {name for step in steps for name in step.link.reads}
    yield from sorted(name for name in read if facts.origins.get(name) is Origin.PARAMETER)


def _unbound_claim(facts: Facts, steps: list[_Step], desk: str) -> Reason | None:
    """R8: a statement of the requester counts where a credential by somebody else binds it.

    The desk repeats every statement that was made, and relies on none.
    """
    steps = [step for step in steps if step.link.authorizer != desk]
    own = {*facts.requesters, f"xmpp:{facts.attributes.get('domain', '')}", POLICY, desk}
    others = [step for step in steps if step.link.authorizer not in own]
    for name in sorted({name for step in steps for name in step.link.reads}):
        if facts.origins.get(name) is Origin.STATEMENT and not any(step.binds(name) for step in others):
            return Reason("unbound-claim", f"only the requester says what `{name}` is: a credential by an auditor must test it")
    return _partial_audit(facts, steps, others)


def _partial_audit(facts: Facts, steps: list[_Step], others: list[_Step]) -> Reason | None:
    """R8: the first audit binds all that is relied upon above it, or whom it was given to could audit the rest."""
    audits = [name for name, attribute in facts.operation.attributes.items() if attribute.audit]
    relied: dict[str, None] = {}
    for step in steps:
        if step in others and any(step.binds(name) for name in audits):
            loose = [name for name in relied if not step.binds(name)]
            text = f"the audit in credential {step.link.id[:8]} leaves `{loose[0]}` open" if loose else ""
            return Reason("unbound-claim", f'{text}: it says `== ""` of what was not looked at') if loose else None
        relied |= dict.fromkeys(name for name in audits if name in step.link.reads)
    return None
