"""Messages that teach: for each likely mistake in an assertion, what is wrong and what to write.

The mistakes printed in published KeyNote policies (``docs/explanation/paper-mistakes.md``) each
have an entry here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator

from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote import syntax
from clearinghouse.keynote.places import malformed
from clearinghouse.keynote.principals import shown

_DATE = re.compile(r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])[0-3]\d(?:\d{6})?\Z", re.ASCII)
_TOKEN = re.compile(r'#[^\n]*|("(?:[^"\\\n]|\\[\s\S])*+"|[A-Za-z0-9_]+|&&|\|\||->|==|!=|~=|=~|!~|<=|>=|[\x80-\xff]+|[^ \t\n])')
"""A comment, or a token (group 1), valid or not."""
_TYPOGRAPHIC = "\xe2\x80"
"""Typographic quotation marks, and dashes, begin so in UTF-8."""
_SHOWN_CHARACTERS = 60
"""Characters of a token that a message repeats."""

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


def wrong_world(text: str, start: int, end: int, node: object, wanted: str, where: str, other: object | None = None) -> MalformedAssertion:
    """Return the error for a node of one world where another is *wanted*."""
    written = shown(" ".join(text[start:end].split()), _SHOWN_CHARACTERS)
    found = world_of(node)
    message = f"`{written}` is {_SHOWN[found]}, and {where} needs {_SHOWN[wanted]}"
    return malformed(text, start, message, _conversion(written, node, found, wanted, other), end - start)


def _conversion(written: str, node: object, found: str, wanted: str, other: object | None) -> str:
    """Return what to write instead of *written*."""
    number = written.strip("() ")
    whole = f"({written})" if isinstance(node, syntax.Join) and not written.startswith("(") else written
    match found, wanted:
        case "integer", "text" if isinstance(node, syntax.Integer):
            return _number_as_text(number, other)
        case (("integer" | "float"), "text") if other is not None:
            return f"read the other side as a number, too: write `{'@' if found == 'integer' else '&'}` before it"
        case "text", "integer" if isinstance(node, syntax.Literal) and node.text.isdigit():
            return f"write the number without quotation marks: `{node.text}`"
        case "text", "integer":
            return f"write `@{whole}` to read it as a number"
        case "text", "float":
            return f"write `&{whole}` to read it as a float"
        case "integer", "float" if isinstance(node, syntax.Integer):
            return f"write `{number}.0`"
        case "float", "integer":
            return "integers and floats do not mix: use `@` for integers, `&` for floats, on both sides"
        case "text", "test":
            return f'compare it with something, as in `{written} == "yes"`'
        case (("integer" | "float"), "test"):
            return f"compare it with something, as in `{written} > 0`"
        case "licensees", _:
            return "a list of k-of, and `.` and `$`, take single principals only"
        case _:
            return "texts, integers, floats and tests do not mix: see the table of operators in the language reference"


def _number_as_text(number: str, other: object | None) -> str:
    match other:
        case syntax.Attribute() if _DATE.match(number):
            return f'dates compare as text: write `"{number}"`'
        case syntax.Attribute(name):
            return f'to compare numbers write `@{name}` on the other side; to compare text write `"{number}"`'
        case _:
            return f'write `"{number}"`'


# -- a token that the grammar does not expect -----------------------------------------------------

_Rule = Callable[[str, str, str], tuple[str, str] | None]
"""(field, the token before, the token found) -> (message, mend), or ``None`` when it does not apply."""


def unexpected(text: str, at: int, begin: int, end: int, field: str) -> MalformedAssertion:
    """Return the error for the token at offset *at* of a field whose body is ``text[begin:end]``."""
    found = next(_tokens(text, at, end), None)
    token = found.group() if found else ""
    last = next(iter(deque(_tokens(text, begin, at), maxlen=1)), None)
    before = last.group() if last else ""
    place = found.start() if found else (last.end() if last else at)
    for rule in _RULES:
        said = rule(field, before, token)
        if said is not None:
            return malformed(text, place, *said, len(token) or 1)
    return malformed(text, place, *_otherwise(field, before, token), len(token) or 1)


def _tokens(text: str, begin: int, end: int) -> Iterator[re.Match[str]]:
    return (found for found in _TOKEN.finditer(text, begin, end) if found.group(1))


def _characters(field: str, before: str, token: str) -> tuple[str, str] | None:
    """Characters that KeyNote does not know, and operators of other languages."""
    match token:
        case '"':
            return "this string is not closed on its line", 'write the closing `"`; a string goes on over a line end only after a backslash'
        case _ if "\r" in token:
            return (
                "there is a carriage return",
                "KeyNote lines end with a newline alone: convert the file (signatures cover bytes, so sign again)",
            )
        case _ if token == "'" or token.startswith(_TYPOGRAPHIC):
            return 'KeyNote quotes with `"` only', 'write `"` on both sides'
        case "|" | "&" if field == "Licensees" or token == "|":
            return f"`{token}` is not an operator here", f"write `{token}{token}`"
        case _ if token.lower() in {"and", "or", "not"} and field == "Conditions":
            return f"`{token}` is not an operator", f"write `{ {'and': '&&', 'or': '||', 'not': '!'}[token.lower()] }`"
        case _ if before.lower() == "not" and field == "Conditions":
            return f"`{before}` is not an operator", "write `!`"
        case _:
            return None


def _principals(field: str, before: str, token: str) -> tuple[str, str] | None:
    """Principals without quotation marks, several authorizers, and what is no signature."""
    named = before.isidentifier() or before.isalnum()
    if named and (token == ":" or (field in {"Authorizer", "Licensees"} and token in {"-", "@", "/"})):
        return "a principal is not quoted", 'put the whole principal in quotation marks: `"algorithm:bits"`, `"xmpp:name@domain"`'
    if field == "Authorizer" and token in {"&&", "||", ","}:
        return "an assertion has one authorizer", "write an assertion for each of them"
    if field == "Signature":
        return "this is no signature", 'a signature is one text, `"sig-ed25519-hex:..."`: let `clearinghouse sign` write it'
    return None


def _equals(field: str, before: str, token: str) -> tuple[str, str] | None:
    if token == "=" and field in {"Conditions", "Licensees"}:
        return "`=` does not compare", "write `==` to compare texts, `~=` to match a regular expression"
    if token == "=~":
        return "the operator for a regular expression is `~=`", "write `~=`"
    if token == "!~":
        return "there is no operator for a regular expression that does not match", "write `!` before the test: `!(a ~= b)`"
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
        case ((";" | "{" | ""), ""):
            return "a `{` is not closed", "write `}` and then `;`"
        case _, ("" | "}") if before not in {"", ";", "&&", "||", "!", "->", "(", "==", "~=", "<", ">", "<=", ">=", "!="}:
            return "a clause is not ended by `;`", "every clause ends with `;`, also the last one, and also after `}`"
        case ((";" | "}" | ""), ("&&" | "||")):
            return (
                f"a clause begins with `{token}`",
                f"the `;` before it ended the clause: remove that `;`. Clauses are alternatives and are not joined by `{token}`",
            )
        case ((";" | "{" | ""), ";"):
            return "there is a clause with nothing in it", "remove this `;`"
        case "}", _:
            return "a block's clause has no `;`", f"write `}};` before `{shown(token, _SHOWN_CHARACTERS)}`"
        case _, "->":
            return (
                "`->` cannot stand here",
                "a clause is `test -> value;` or `test -> { clauses };`, never in brackets: what must hold together is one test",
            )
        case _, ";":
            return (
                "a clause ends inside a bracket or an unfinished test",
                "close the brackets and complete the test before `;`; clauses cannot stand inside brackets",
            )
        case _:
            return None


def _operators(field: str, before: str, token: str) -> tuple[str, str] | None:
    relations = {"==", "!=", "<", ">", "<=", ">=", "~="}
    if token == before and token in {"&&", "||"}:
        return f"`{token}` stands twice", "remove one of them"
    if token in relations and before in _OPENING:
        return f"there is nothing to compare before `{token}`", "write a name, a text or a number there"
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
            number = shown(token, _SHOWN_CHARACTERS)
            return f"`{number}` is not a principal", f'quote it (`"{number}"`), or write a threshold as `{number}-of(a, b)` without blanks'
        case _, ")" if before in {"(", ","}:
            return "the list of principals is empty or ends with a comma", "name at least as many principals as the threshold asks for"
        case _, ("&&" | "||") if before in {"", "(", "&&", "||"}:
            return f"there is no principal before `{token}`", "write one, or remove the operator"
        case (("&&" | "||"), ""):
            return f"there is no principal after `{before}`", "write one, or remove the operator"
        case _, _ if token.startswith('"') and (before.startswith('"') or before.isidentifier() or before == ")"):
            return "two principals stand side by side", "join them with `||` (any of them) or `&&` (all of them)"
        case _:
            return None


def _otherwise(field: str, before: str, token: str) -> tuple[str, str]:
    """What can be said of any other token."""
    after = f" after `{shown(before, _SHOWN_CHARACTERS)}`" if before else ""
    message = f"`{shown(token, _SHOWN_CHARACTERS)}` cannot stand here{after}"
    if not token:
        return f"`{field}` ends too early{after}", "complete the expression, and close every bracket"
    if token in {")", "}"}:
        return message, f"remove it, or write the `{'(' if token == ')' else '{'}` that it closes, and what stands in it"
    if _is_operand(token) and _is_operand(before):
        return message, "write an operator between them: `.` joins texts, `&&` and `||` join tests"
    return message, "remove it, or put it in quotation marks if it belongs to a text"


def _is_operand(token: str) -> bool:
    return token[:1] == '"' or token.isalnum() or token.isidentifier()


_OPENING = {"", ";", "{", "(", "&&", "||", "!"}
"""Tokens before an operand."""
_RULES: tuple[_Rule, ...] = (_characters, _principals, _equals, _operators, _clauses)
