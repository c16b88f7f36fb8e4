"""The layout of ``fmt``: one form for every assertion, and every ``#`` comment where it was.

An assertion without comments is printed from its tree.  Where there are comments the fields keep
their order, and a field that has one inside keeps its own text: a tree knows no comments, and
moving them would lose what they speak about.
"""

from __future__ import annotations

import re

from clearinghouse.keynote.fields import Field, Fields, split_fields
from clearinghouse.keynote.limits import Limits
from clearinghouse.keynote.parser import parse
from clearinghouse.keynote.places import malformed
from clearinghouse.keynote.printer import print_assertion

_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\]|\\[\s\S])*"|(#)')
_COMMENT_LINE = re.compile(r"^#", re.MULTILINE)


def layout(raw: bytes) -> bytes:
    """Return one unsigned assertion in its form: the same meaning, and the same text when laid out again.

    Raises :class:`MalformedAssertion` for what does not parse, and for a signed credential, whose
    signature holds for its bytes as they are.
    """
    tree = parse(raw, limits=Limits.local())
    text = raw.decode("latin-1")
    fields, _ = split_fields(text)
    if tree.signature is not None:
        mend = "leave it as it is, or remove the Signature, lay it out, and sign again"
        raise malformed(text, tree.signed_end, "a new layout would break the signature", mend, len("Signature"))
    printed = print_assertion(tree)
    if not _has_comments(fields):
        return printed.encode("latin-1")
    forms, _ = split_fields(printed)
    rows = _rows(text[fields.signed_start : fields.fields[0].at])
    for field in fields.fields:
        rows += _field(fields, field, _text(forms, forms.get(field.label)))
    return "".join(f"{row}\n" for row in rows).encode("latin-1")


def _has_comments(fields: Fields) -> bool:
    first = fields.fields[0]
    return first.at > fields.signed_start or any(_is_commented(field.label, _text(fields, field)) for field in fields.fields)


def _is_commented(label: str, text: str) -> bool:
    """Tell whether a field has a comment; a ``#`` in a string or in a line of Comment is none."""
    if label == "Comment":
        return _COMMENT_LINE.search(text) is not None
    return any(found.group(1) for found in _STRING_OR_COMMENT.finditer(text))


def _field(fields: Fields, field: Field, form: str) -> list[str]:
    """Return the lines of a field in its form, and the comment lines that follow it as they are."""
    lines = _rows(_text(fields, field))
    own = len(lines)
    while lines[own - 1].startswith("#"):
        own -= 1
    kept = "\n".join(lines[:own])
    return [kept if field.label == "Comment" or _is_commented(field.label, kept) else form.rstrip("\n"), *lines[own:]]


def _text(fields: Fields, field: Field | None) -> str:
    return fields.text[field.at : field.end] if field else ""


def _rows(text: str) -> list[str]:
    """Return the lines of *text* that hold more than blanks, or nothing at all of them."""
    return [line for line in text.split("\n") if line.strip(" \t")]
