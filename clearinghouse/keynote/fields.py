"""From bytes to fields: labels, bodies, and the bytes that a signature covers (RFC 2704, 4.1).

A field is a label in column 0, a colon, and a body that goes on over lines beginning with a
blank.  A comment line may stand in column 0 inside a field.  An empty line ends the assertion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise

from clearinghouse.errors import MalformedAssertion
from clearinghouse.keynote.places import malformed

LABELS = ("KeyNote-Version", "Local-Constants", "Authorizer", "Licensees", "Conditions", "Comment", "Signature")
_BY_LOWER = {label.lower(): label for label in LABELS}
_LINE_START = re.compile(r"^(?=[^ \t\n#])", re.MULTILINE)
_LABEL = re.compile(r"([A-Za-z][A-Za-z-]*):")
_STRAY = re.compile(r"(?:[ \t]*+(?:#[^\n]*+)?+\n)*+[ \t]++[^\n#]")
"""Comments and lines without text, and then an indented line that continues no field."""
_EMPTY_LINE = re.compile(r"\n\n")
_PARAGRAPH = re.compile(rb"(?:[^\n]+\n?)+")
_ONLY_COMMENTS = re.compile(rb"(?:[ \t\n]|#[^\n]*+)*+\Z")

MOST_MISTAKES = 20
"""Mistakes of one assertion that are told; nobody mends more at once, and each takes work to describe."""

LIKELY = {
    "licensee": "Licensees",
    "authoriser": "Authorizer",
    "authorisor": "Authorizer",
    "condition": "Conditions",
    "constants": "Local-Constants",
    "version": "KeyNote-Version",
    "comments": "Comment",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its label in the RFC's spelling, where it stands, and its body's span."""

    label: str
    at: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one assertion, in order, over its octet *text*."""

    text: str
    fields: tuple[Field, ...]
    signed_start: int
    signed_end: int

    def get(self, label: str) -> Field | None:
        """Return the field with *label*, or ``None``."""
        return next((field for field in self.fields if field.label == label), None)

    def body(self, field: Field) -> str:
        """Return the octet text of a field's body."""
        return self.text[field.start : field.end]


def split_assertions(data: bytes) -> list[tuple[int, bytes]]:
    """Return ``(line, bytes)`` for each assertion of a file; empty lines separate them.

    *line* counts from 1.  Paragraphs that hold nothing but comments are left out.
    """
    paragraphs = [found for found in _PARAGRAPH.finditer(data) if not _ONLY_COMMENTS.match(found.group())]
    return [(data.count(b"\n", 0, found.start()) + 1, found.group()) for found in paragraphs]


def split_fields(text: str) -> tuple[Fields, list[MalformedAssertion]]:
    """Return the fields of *text* and every mistake in their layout."""
    problems: list[MalformedAssertion] = []
    begin = len(text) - len(text.lstrip(" \t\n"))
    if begin == len(text):
        return Fields(text, (), 0, 0), [malformed(text, 0, "there is no assertion here", "write at least an Authorizer field")]
    stray = _STRAY.match(text)
    if stray:
        problems.append(malformed(text, stray.end() - 1, "the first field is indented", "begin each label in the first column"))
    starts = [found.start() for found in _LINE_START.finditer(text, begin)]
    fields = _walk(text, starts, problems)
    _check_order(text, fields, problems)
    signature = next((field for field in fields if field.label == "Signature"), None)
    return Fields(text, tuple(fields), begin, signature.at if signature else len(text)), problems


def _walk(text: str, starts: list[int], problems: list[MalformedAssertion]) -> list[Field]:
    """Read one field at each line start, until Signature or an empty line ends the assertion."""
    fields: list[Field] = []
    for start, following in pairwise([*starts, len(text)]):
        if len(problems) >= MOST_MISTAKES:
            break
        found = _LABEL.match(text, start)
        if found is None:
            problems.append(_not_a_label(text, start))
            continue
        label = _BY_LOWER.get(found.group(1).lower())
        if label is None:
            problems.append(_unknown_label(text, start, found.group(1)))
            continue
        gap = _EMPTY_LINE.search(text, found.end(), following)
        fields.append(Field(label, start, found.end(), gap.start() + 1 if gap else following))
        if label == "Signature":
            break  # 4.6.7: what follows the signature is not part of the assertion
        if gap and text[gap.end() :].strip(" \t\n"):
            problems.append(
                malformed(
                    text, gap.end(), "an empty line ends an assertion, and text follows it", "remove the empty line, or put a `#` in it"
                )
            )
            break
    return fields


def _not_a_label(text: str, start: int) -> MalformedAssertion:
    line = text[start : (text + "\n").index("\n", start)]
    spaced = re.match(r"([A-Za-z-]+)[ \t]+:", line)
    if spaced:
        return malformed(
            text, start, f"there is a blank between `{spaced.group(1)}` and its colon", f"write `{spaced.group(1)}:`", len(spaced.group())
        )
    if text[start] in "\r\f\v":
        return malformed(
            text,
            start,
            "a line begins with a control character",
            "KeyNote lines end with a newline alone: remove carriage returns and form feeds",
        )
    return malformed(
        text,
        start,
        "this line is neither a field nor the continuation of one",
        "begin a continuation line with a blank, a field with its label and a colon",
        len(line),
    )


def _unknown_label(text: str, start: int, written: str) -> MalformedAssertion:
    lower = written.lower()
    meant = LIKELY.get(lower) or next((_BY_LOWER[close] for close in get_close_matches(lower, _BY_LOWER, n=1)), None)
    mend = f"did you mean `{meant}:`?" if meant else f"the fields are {', '.join(LABELS)}"
    return malformed(text, start, f"`{written}` is not a field of KeyNote", mend, len(written))


def _check_order(text: str, fields: list[Field], problems: list[MalformedAssertion]) -> None:
    """Each label once, KeyNote-Version first (RFC 2704, 4.1); Signature ends the walk by itself."""
    seen: set[str] = set()
    for position, field in enumerate(fields):
        if len(problems) >= MOST_MISTAKES:
            return
        if field.label in seen:
            problems.append(malformed(text, field.at, f"`{field.label}` stands twice", "keep one of them", len(field.label)))
        seen.add(field.label)
        if field.label == "KeyNote-Version" and position > 0:
            problems.append(malformed(text, field.at, "`KeyNote-Version` must be the first field", "move it to the top", len(field.label)))
    if "Authorizer" not in seen and not problems:
        problems.append(
            malformed(text, 0, "there is no `Authorizer` field", 'every assertion says who speaks: `Authorizer: "POLICY"` for a policy')
        )
