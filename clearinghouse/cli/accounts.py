"""One assertion accounted for: everything that `inspect` says about it."""

from __future__ import annotations

from dataclasses import dataclass

from clearinghouse.cli.advising import Finding, findings, tell_finding
from clearinghouse.cli.output import DIM, STRONG, clean, mark, say, tell_error
from clearinghouse.cli.reading import located
from clearinghouse.cli.verdicts import Verdict
from clearinghouse.cli.words import Phrase, delegation, granted, last_days, speaker, trusted
from clearinghouse.keynote import POLICY, syntax
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.principals import is_key, normalise
from clearinghouse.keynote.texts import fold


@dataclass(frozen=True, slots=True)
class Account:
    """An assertion, its verdict, and what the linter says."""

    verdict: Verdict
    advice: tuple[Finding, ...]

    @property
    def channel(self) -> str:
        """How it would be loaded: as a ``credential``, as a ``policy``; ``none`` where it cannot be read."""
        tree = self.verdict.tree
        if tree is None:
            return "none"
        return "credential" if tree.signature is not None else "policy"

    @property
    def usable(self) -> bool:
        """Whether it would be admitted over its channel."""
        return self.verdict.valid or self.channel == "policy"

    def as_json(self) -> dict[str, object]:
        """Return the account in the documented schema."""
        tree = self.verdict.tree
        told = self.verdict.as_json() | {"channel": self.channel, "advice": [each.as_json() for each in self.advice]}
        if self.channel == "policy":
            told |= {"valid": True, "error": None}
        if tree is None:
            return told
        constants = dict(tree.constants)
        return told | {
            "trusts": _lines((trusted(tree.licensees, constants),)),
            "grants": _lines(granted(tree.conditions, constants)),
            "ends": list(last_days(tree)),
            "delegation": delegation(tree),
            "comment": from_octets(tree.comment or ""),
            "covered": _covered(tree),
        }


def account(verdict: Verdict) -> Account:
    """Return what there is to say about one assertion."""
    return Account(verdict, tuple(findings([verdict.piece])) if verdict.tree else ())


def _lines(phrases: tuple[Phrase, ...], depth: int = 0) -> list[str]:
    found: list[str] = []
    for phrase in phrases:
        found += ["  " * depth + phrase.text, *_lines(phrase.below, depth + 1)]
    return found


def _covered(tree: syntax.Assertion) -> dict[str, int] | None:
    """Return the bytes of the assertion that a signature covers, from and up to, and its lines."""
    if tree.signature is None:
        return None
    lines = tree.raw[: tree.signed_end].count(b"\n")
    return {"from": tree.signed_start, "to": tree.signed_end, "lines": lines}


# -- for people ---------------------------------------------------------------------------------------


def tell_account(account: Account, *, apart: bool) -> None:
    """Print the account of one assertion, after an empty line where it is not the first."""
    verdict = account.verdict
    if apart:
        say("")
    name = "assertion that cannot be read" if verdict.tree is None else account.channel
    say((f"{name} {verdict.id[:8]}".strip(), STRONG), f", {clean(verdict.piece.place)}")
    if verdict.tree is None:
        if verdict.error:
            tell_error(located(verdict.error, verdict.piece))
        return
    _tell_tree(verdict.tree)
    _tell_admission(account, verdict.tree)
    _tell_advice(account)


def _tell_tree(tree: syntax.Assertion) -> None:
    constants = dict(tree.constants)
    _section("who speaks", (Phrase(speaker(tree.authorizer, constants)), *_whole(tree.authorizer, constants)))
    alone = tree.licensees.name if isinstance(tree.licensees, syntax.Principal) else None
    _section("who is trusted", (trusted(tree.licensees, constants), *_whole(alone, constants)))
    _section("for what", granted(tree.conditions, constants))
    _section("until when", tuple(map(Phrase, last_days(tree))) or (Phrase("without an end"),))
    _section("delegation", (Phrase(delegation(tree)),))
    if tree.comment:
        _section("comment", tuple(Phrase(clean(line.strip())) for line in from_octets(tree.comment).splitlines()))


def _whole(node: syntax.Text | None, constants: dict[str, str]) -> tuple[Phrase, ...]:
    """Return a key in full, in normal form, so that it can be compared."""
    written = None if node is None else fold(node, constants)
    return (Phrase(clean(normalise(written))),) if written is not None and is_key(written) else ()


def _section(title: str, phrases: tuple[Phrase, ...]) -> None:
    say((title, DIM), indent=2)
    for line in _lines(phrases):
        text = line.lstrip()
        say(text, indent=4 + len(line) - len(text))


def _tell_admission(account: Account, tree: syntax.Assertion) -> None:
    verdict = account.verdict
    say(("signature", DIM), indent=2)
    if verdict.valid:
        say(mark(good=True), f" {verdict.kind}, valid", indent=4)
    elif account.channel == "policy":
        otherwise = "" if verdict.authorizer == POLICY else ", or once it is signed"
        say(f"none: it counts where you keep it as a policy{otherwise}", indent=4)
    elif verdict.error:
        say(mark(good=False), f" {verdict.kind}, not valid: {clean(verdict.error.message)}", indent=4)
        say(clean(verdict.error.mend), indent=6)
    if covered := _covered(tree):
        say(f"it covers lines 1 to {covered['lines']} (bytes {covered['from']} to {covered['to']}) and its kind", indent=4)
    say(("id", DIM), indent=2)
    say(verdict.id, indent=4)


def _tell_advice(account: Account) -> None:
    if account.advice:
        say(("advice", DIM), indent=2)
        for finding in account.advice:
            tell_finding(finding, indent=4)
