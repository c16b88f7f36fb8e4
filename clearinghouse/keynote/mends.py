"""Messages that teach: for each likely mistake in an assertion, what is wrong and what to write.

The mistakes printed in published KeyNote policies (``docs/explanation/paper-mistakes.md``) each
have an entry here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote import syntax
from clearinghouse.keynote.places import malformed

_DATE = re.compile(r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])[0-3]\d(?:\d{6})?\Z", re.ASCII)
_TOKEN = re.compile(r'\s*(?:#[^\n]*\n\s*)*("(?:[^"\\\n]|\\[\s\S])*"|[A-Za-z0-9_]+|&&|\|\||->|==|!=|~=|<=|>=|[^\s])')
_LAST = re.compile(r'("(?:[^"\\\n]|\\[\s\S])*"|[A-Za-z0-9_]+|&&|\|\||->|==|!=|~=|<=|>=|[^\s])\s*\Z')

_SHOWN = {"text": "text", "integer": "a number", "float": "a float", "test": "a test", "licensees": "a group of principals"}


def world_of(node: object) -> str:
    """Return the world of a tree node: text, integer, float, test or licensees."""
    match node:
        case syntax.Literal() | syntax.Attribute() | syntax.Indirect() | syntax.Join():
            return "text"
        case syntax.Integer() | syntax.ToInteger() | syntax.IntegerNegation() | syntax.IntegerOperation():
            return "integer"
        case syntax.Float() | syntax.ToFloat() | syntax.FloatNegation() | syntax.FloatOperation():
            return "float"
        case syntax.Principal() | syntax.AllOf() | syntax.AnyOf() | syntax.Threshold():
            return "licensees"
        case _:
            return "test"


def wrong_world(  # noqa: PLR0913 - the place is two facts, the mixture four
    text: str, start: int, end: int, node: object, wanted: str, where: str, other: object | None = None
) -> MalformedAssertion:
    """Return the error for a node of one world where another is *wanted*."""
    shown = " ".join(text[start:end].split())
    found = world_of(node)
    message = f"`{shown}` is {_SHOWN[found]}, and {where} needs {_SHOWN[wanted]}"
    return malformed(text, start, message, _conversion(shown, node, found, wanted, other), end - start)


def _conversion(shown: str, node: object, found: str, wanted: str, other: object | None) -> str:
    """Return what to write instead of *shown*."""
    match found, wanted:
        case "integer", "text" if isinstance(node, syntax.Integer):
            if isinstance(other, syntax.Attribute) and _DATE.match(shown):
                return f'dates compare as text: write `"{shown}"`'
            if isinstance(other, syntax.Attribute):
                return f"to compare numbers write `@{other.name}` on the other side; to compare text write `\"{shown}\"`"
            return f'write `"{shown}"`'
        case "text", "integer" if isinstance(node, syntax.Literal) and node.text.isdigit():
            return f"write the number without quotation marks: `{node.text}`"
        case "text", "integer":
            return f"write `@{shown}` to read it as a number"
        case "text", "float":
            return f"write `&{shown}` to read it as a float"
        case "integer", "float" if isinstance(node, syntax.Integer):
            return f"write `{shown}.0`"
        case "float", "integer":
            return "integers and floats do not mix: use `@` for integers, `&` for floats, on both sides"
        case "text", "test":
            return f'compare it with something, as in `{shown} == "yes"`'
        case ("integer" | "float"), "test":
            return f"compare it with something, as in `{shown} > 0`"
        case "licensees", _:
            return "a list of k-of, and `.` and `$`, take single principals only"
        case _:
            return "texts, integers, floats and tests do not mix: see the table of operators in the language reference"


# -- a token that the grammar does not expect -----------------------------------------------------

_Rule = Callable[[str, str, str], tuple[str, str] | None]
"""(field, the token before, the token found) -> (message, mend), or ``None`` when it does not apply."""


def unexpected(text: str, at: int, begin: int, end: int, field: str) -> MalformedAssertion:
    """Return the error for the token at offset *at* of a field whose body is ``text[begin:end]``."""
    found = _TOKEN.match(text[at:end])
    token = found.group(1) if found else ""
    last = _LAST.search(text[begin:at])
    before = last.group(1) if last else ""
    place = at + found.start(1) if found else (begin + last.end(1) if last else at)
    for rule in _RULES:
        said = rule(field, before, token)
        if said is not None:
            return malformed(text, place, *said, len(token) or 1)
    if not token:
        return malformed(text, place, f"`{field}` ends too early after `{before}`", "complete the expression, and close every bracket")
    return malformed(text, place, f"`{token}` cannot stand here" + (f" after `{before}`" if before else ""), "", len(token))


def _characters(field: str, before: str, token: str) -> tuple[str, str] | None:
    """Characters that KeyNote does not know, and operators of other languages."""
    match token:
        case '"':
            return "this string is not closed on its line", 'write the closing `"`; a string goes on over a line end only after a backslash'
        case "\r":
            return "there is a carriage return", "KeyNote lines end with a newline alone: convert the file (signatures cover bytes, so sign again)"
        case "'" | "\u00e2":
            return "KeyNote quotes with `\"` only", 'write `"` on both sides'
        case "|" | "&" if field == "Licensees" or token == "|":
            return f"`{token}` is not an operator here", f"write `{token}{token}`"
        case ":" if before.isidentifier() or before.isalnum():
            return "a principal is not quoted", 'put the whole principal in quotation marks: `"algorithm:bits"`, `"xmpp:name@domain"`'
        case _ if token.lower() in {"and", "or", "not"} and field == "Conditions":
            return f"`{token}` is not an operator", f"write `{ {'and': '&&', 'or': '||', 'not': '!'}[token.lower()] }`"
    return None


def _equals(field: str, before: str, token: str) -> tuple[str, str] | None:
    if token == "=" and field in {"Conditions", "Licensees"}:
        return "`=` does not compare", "write `==` to compare texts, `~=` to match a regular expression"
    if token == "~" and before in {"=", "!"}:
        return "the operator for a regular expression is `~=`", "write `~=`"
    if field == "Local-Constants" and token in {".", "=="}:
        return f"`{token}` cannot stand in Local-Constants", 'each constant is `NAME = "literal"`, without operators'
    if field == "Local-Constants" and before == "=":
        return "a constant's value is a quoted literal", 'write `NAME = "literal"`'
    return None


def _clauses(field: str, before: str, token: str) -> tuple[str, str] | None:
    """Semicolons, arrows and blocks."""
    if field != "Conditions":
        return None
    match before, token:
        case _, "" if before == "}":
            return "a block's clause has no `;`", "write `};`"
        case (";" | "{" | ""), "":
            return "a `{` is not closed", "write `}` and then `;`"
        case _, ("" | "}") if before not in {"&&", "||", "!", "->", "(", "==", "~=", "<", ">", "<=", ">=", "!="}:
            return "a clause is not ended by `;`", "every clause ends with `;`, also the last one, and also after `}`"
        case (";" | "}" | ""), ("&&" | "||"):
            return f"a clause begins with `{token}`", f"the `;` before it ended the clause: remove that `;`. Clauses are alternatives and are not joined by `{token}`"
        case (";" | "{" | ""), ";":
            return "there is a clause with nothing in it", "remove this `;`"
        case "}", _:
            return "a block's clause has no `;`", f"write `}};` before `{token}`"
        case _, "->":
            return "`->` cannot stand here", "a clause is `test -> value;` or `test -> { clauses };`, never inside brackets and never twice"
        case _, ";":
            return "a clause ends inside a bracket or an unfinished test", "close the brackets and complete the test before `;`; clauses cannot stand inside brackets"
    return None


def _operators(field: str, before: str, token: str) -> tuple[str, str] | None:
    relations = {"==", "!=", "<", ">", "<=", ">=", "~="}
    if token == before and token in {"&&", "||"}:
        return f"`{token}` stands twice", "remove one of them"
    if token in relations and field == "Conditions":
        return f"`{token}` cannot follow here", "relations do not chain: write `a < b && b < c`"
    if field == "Licensees":
        return _licensee(before, token)
    return None


def _licensee(before: str, token: str) -> tuple[str, str] | None:
    match before, token:
        case _, ",":
            return "licensees are not separated by commas", "write `||` for any of them, `&&` for all of them, or `2-of(a, b, c)`"
        case _, "!":
            return "licensees cannot be excluded", "KeyNote only adds authority: leave the principal out, or revoke its credential"
        case _, _ if token.isdigit() and before in {"", "(", "&&", "||"}:
            return f"`{token}` is not a principal", f'quote it (`"{token}"`), or write a threshold as `{token}-of(a, b)` without blanks'
        case _, ")" if before in {"(", ","}:
            return "the list of principals is empty or ends with a comma", "name at least as many principals as the threshold asks for"
        case _, ("&&" | "||") if before in {"", "(", "&&", "||"}:
            return f"there is no principal before `{token}`", "write one, or remove the operator"
        case ("&&" | "||"), "":
            return f"there is no principal after `{before}`", "write one, or remove the operator"
        case _, _ if token.startswith('"') and (before.startswith('"') or before.isidentifier() or before == ")"):
            return "two principals stand side by side", "join them with `||` (any of them) or `&&` (all of them)"
    return None


_RULES: tuple[_Rule, ...] = (_characters, _equals, _operators, _clauses)
