"""The picture that `explain` draws: the answer, the delegations from ``POLICY`` down, and what is missing."""

from __future__ import annotations

from rich.console import Group
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from clearinghouse.cli.delegations import Delegations, Person, Step
from clearinghouse.cli.loading import Loaded
from clearinghouse.cli.output import BAD, CAUTION, DIM, GOOD, STRONG, Part, clean, console, mark, say, tell_error
from clearinghouse.keynote import Proof
from clearinghouse.keynote.principals import describe, is_key, shown


def draw(proof: Proof, loaded: Loaded, values: tuple[str, ...], *, everything: bool) -> None:
    """Print the answer and its reasons for people."""
    _head(proof, values)
    people = Delegations(proof, loaded, everything=everything)
    top = people.top()
    tree = Tree(_person(top), guide_style=DIM)
    _grow(tree, top)
    say("")
    console().print(tree)
    _foot(proof, loaded, people)


def _head(proof: Proof, values: tuple[str, ...]) -> None:
    style = GOOD if proof.strongest else CAUTION if proof.level else BAD
    say((clean(proof.value), style + STRONG), f"   of {clean(' < '.join(values))}")
    for number, name in enumerate(proof.authorizers):
        say("asked by " if number == 0 else "     and ", describe(name) if is_key(name) else shown(name))
    until = proof.stable_until
    if until is not None:
        say(f"stands until {until:%Y-%m-%d %H:%M:%S} UTC, if nothing but the time changes")


def _grow(tree: Tree, person: Person) -> None:
    for step in person.steps:
        branch = tree.add(_step(step))
        for below in step.below:
            _grow(branch.add(_person(below)), below)
    if person.more:
        tree.add(Text(f"and {person.more} more, which lead to nobody who asks", DIM))


def _person(person: Person) -> Text:
    """Return for instance ``hub (ed25519-3e6a8fa4) has allow``."""
    parts: list[Part] = [(person.name, STRONG if person.value else DIM)]
    if person.asks:
        parts.append((" asks", GOOD))
    elif person.value:
        parts.append((f" has {clean(person.value)}", GOOD))
    else:
        parts.append((" has nothing", DIM))
    if person.above:
        parts.append((", see above", DIM))
    return Text.assemble(*parts)


def _step(step: Step) -> Group:
    """Return for instance ``check credential 3f2a9c1d gives allow``, with its reasons on lines of their own."""
    kind = "policy" if step.assertion.policy else "credential"
    said = f" gives {clean(step.value)}" if step.carried else "" if step.failed else f" would give {clean(step.value)}"
    sign = mark(good=not step.failed) if step.carried or step.failed else (mark(good=True)[0], DIM)
    head: list[Part] = [
        sign,
        " ",
        (f"{kind} {step.assertion.name[:8]}", STRONG if step.carried else DIM),
        said,
        (f"  {clean(step.assertion.source)}", DIM),
    ]
    lines = [Text(f"for {clean(step.licensees)}", DIM)] if step.licensees else []
    lines += [Text(clean(reason.text), DIM if reason.good else BAD) for reason in step.reasons]
    return Group(Text.assemble(*head), *(Padding(line, (0, 0, 0, 2), expand=False) for line in lines))


def _foot(proof: Proof, loaded: Loaded, people: Delegations) -> None:
    if loaded.problems:
        say("")
        say(("left out", STRONG))
        for problem in loaded.problems:
            tell_error(problem, error=False)
    for missing in proof.missing:
        say("")
        say((f"for {clean(missing.value)} is missing", STRONG))
        for step in missing.steps:
            say(mark(good=False), f" {clean(people.named(step))}", indent=2)
