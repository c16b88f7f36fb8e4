"""What the linter says, and the table of its rules."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Level = Literal["warning", "note"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its stable id, the name that people use, and what it is about.

    A *warning* is most likely a mistake.  A *note* is true of many good assertions, and worth a look.
    """

    id: str
    name: str
    level: Level
    about: str


@dataclass(frozen=True, slots=True)
class Advice:
    """One finding: where (line and column from 1, in the assertion), what, and the mend."""

    rule: str
    name: str
    level: Level
    line: int
    column: int
    message: str
    mend: str

    def as_json(self) -> dict[str, object]:
        """Return the finding in the documented schema (``docs/reference/json.md``)."""
        return {
            "rule": self.rule,
            "name": self.name,
            "level": self.level,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "mend": self.mend,
        }


_RULES: tuple[Rule, ...] = (
    Rule("K001", "unquoted-policy", "warning", "`POLICY` without quotation marks is an attribute, not the root of trust"),
    Rule("K002", "unquoted-principal", "warning", "a name without quotation marks that is no constant: whoever asks decides who it is"),
    Rule("K003", "empty-conditions", "warning", "an empty Conditions field means the weakest value, a missing one the strongest"),
    Rule("K004", "empty-licensees", "warning", "an empty Licensees field trusts nobody"),
    Rule("K005", "anybody", "warning", "without a Licensees field anybody is trusted"),
    Rule("K006", "signed-policy", "warning", "only keys can sign; `POLICY` and other names are trusted because the operator keeps them"),
    Rule("K007", "self-licence", "warning", "the authorizer stands among its own licensees, which gives nothing"),
    Rule("K008", "repeated-member", "warning", "one key stands twice in a threshold, and counts twice"),
    Rule("K009", "policy-as-licensee", "warning", "`POLICY` never asks for anything, so licensing it gives nothing"),
    Rule("K011", "undecodable-principal", "warning", "a key whose bits cannot be decoded; the assertion will not be loaded"),
    Rule("K012", "key-like-name", "warning", "a name that looks like a key and is none: nobody can sign for it"),
    Rule("K013", "weak-key", "warning", "a key that is refused unless the settings allow legacy signatures"),
    Rule("K014", "legacy-signature", "warning", "SHA-1, MD5 and DSA signatures are refused unless the settings allow them"),
    Rule("K015", "certificate", "note", "of a certificate only the key counts: its names, dates and issuer are not looked at"),
    Rule("K101", "misnamed-special", "warning", "an attribute whose name is nearly one that KeyNote defines"),
    Rule("K102", "unknown-special", "warning", "a name with a leading underscore that KeyNote does not define is always empty"),
    Rule("K103", "capture-without-match", "warning", "`_1` and its like are empty unless a `~=` with so many groups stands before them"),
    Rule("K104", "unused-constant", "warning", "a local constant that nothing uses"),
    Rule("K105", "name-variants", "warning", "two attribute names that differ in case or underscores only"),
    Rule("K201", "no-value", "note", "a policy's clause without `->` grants the strongest value, whatever values a question has"),
    Rule("K202", "no-operation", "note", "a policy's clause that does not test `operation` holds for every operation"),
    Rule("K203", "unreachable", "warning", "a clause that can add nothing to those before it"),
    Rule("K204", "constant-test", "warning", "a test that is always true or always false"),
    Rule("K205", "contradiction", "warning", "tests joined by `&&` that can never hold together"),
    Rule("K206", "forbids-nothing", "warning", "a clause with the weakest value: KeyNote takes the strongest, so it forbids nothing"),
    Rule("K301", "true-on-absence", "warning", "a test that also holds when the attribute is not set"),
    Rule("K401", "number-as-text", "warning", 'texts compare byte by byte, so `"9"` is larger than `"10"`'),
    Rule("K402", "bad-date", "warning", "`date` has 8 digits and `time` 14; other texts compare in surprising ways"),
    Rule("K403", "clock-as-number", "warning", "`@time` does not fit 32 bits, and `@date` hides when the answer changes"),
    Rule("K404", "integer-too-large", "warning", "an integer beyond 32 bits makes its test false"),
    Rule("K405", "claimed-clock", "warning", "`Date` and `Time` are claims of the requester; the clock is `date` and `time`"),
    Rule("K501", "unanchored-pattern", "warning", "`~=` finds its pattern anywhere in the text"),
    Rule("K502", "lost-backslash", "warning", "a string takes single backslashes away before the pattern is read"),
    Rule("K503", "bad-pattern", "warning", "a pattern that is no POSIX extended regular expression makes its test false"),
    Rule("K504", "unescaped-dot", "warning", "a `.` in a pattern stands for any byte"),
    Rule("K601", "no-expiry", "warning", "a credential that never ends can only be revoked"),
    Rule("K602", "unbounded-delegation", "note", "a credential that its holder may pass on to others"),
    Rule("K603", "threshold-by-proxy", "note", "the members of a threshold may all delegate to one person"),
    Rule("K604", "requester-form", "warning", "`_ACTION_AUTHORIZERS` holds normal forms, sorted, joined by commas"),
    Rule(
        "K605",
        "desk-alone",
        "warning",
        "a policy that trusts the desk's key by itself: what it approves outlives the requester's own licence",
    ),
    Rule("K701", "near-miss", "warning", "two texts compared with one attribute that differ like a slip of the pen"),
    Rule("K801", "reversed", "warning", "a credential whose Authorizer and Licensees seem to be swapped"),
    Rule("K802", "unlicensed", "note", "nothing in this set trusts the authorizer of an assertion"),
)

RULES: Final = MappingProxyType({rule.name: rule for rule in _RULES})
"""Every rule by its name, in the order of the ids."""
