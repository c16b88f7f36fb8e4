"""The bytes of one XML stream, read as a header and the elements below it (expat; pure).

Expat gets the bytes in pieces that end with ``>``, which is where every tag ends.  So it does not matter how the network cut them, what is
found ends exactly with its own last byte, and a tag that arrives byte by byte is looked at once.  XML that XMPP does not have (RFC 6120,
section 11.1) and what is too large end the reading.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from xml.parsers.expat import ExpatError, ParserCreate, errors

MAX_ELEMENT_BYTES: Final = 10_000
"""Bytes of a header, or of one element with all that it holds: the least that RFC 6120, section 13.12, lets a server take."""

MAX_ATTRIBUTES: Final = 32
"""Attributes of one element; a stream header has 5, and a declaration of a namespace is none."""

MAX_DEPTH: Final = 8
"""Elements inside each other, the stream being the first; `<stream:error>` with what it holds needs 4."""

MAX_PIECES: Final = 128
"""`>` in one element.  A feature list has fewer than 60; each is a call of expat, which reads an unfinished tag from its start."""

_SPACE: Final = b" \t\r\n"
_OPEN: Final = ord("<")
_NO_CHARACTER: Final = frozenset([*(octet for octet in range(32) if octet not in _SPACE), *range(0x80, 0xC2), *range(0xF5, 0x100)])
"""Bytes with which no character of XML in UTF-8 begins."""

_OTHER_ENCODINGS: Final = (b"\xfe\xff", b"\xff\xfe", b"\0<", b"<\0", b"\0\0")
"""How UTF-16 and UTF-32 begin, with a byte order mark and without."""

_FIRST_OF_OTHERS: Final = b"\0\xfe\xff"

_DECLARATIONS: Final = frozenset({b"<?xml version='1.0'?>", b'<?xml version="1.0"?>', b"<?xml version='1.0' encoding='UTF-8'?>"})
"""How nearly every stream begins: expat need not be asked."""

_CHILD: Final = 2
"""The depth inside an element that stands directly below the stream."""

_CONDITIONS: Final = {
    errors.codes[errors.XML_ERROR_UNDEFINED_ENTITY]: "restricted-xml",
    errors.codes[errors.XML_ERROR_NO_MEMORY]: "resource-constraint",
}
"""Faults that expat finds itself and that are something else than `not-well-formed`."""


class Kind(StrEnum):
    """What has been found."""

    HEADER = "header"
    ELEMENT = "element"
    END = "end"
    FAULT = "fault"


_HEADER: Final = Kind.HEADER  # looking up a member of an enumeration is dear in Python 3.11


class Stop(Exception):
    """What must not be read on; the stream error is its only argument."""


class Reader:
    """One XML stream.  Attributes say what was found last; `advance` finds the next."""

    __slots__ = (
        "_below",
        "_depth", "_found", "_held", "_parser", "_pieces", "_seen", "_size", "_whole",
        "attributes", "children", "condition", "name", "namespaces", "texts",
    )  # fmt: skip

    name: str
    """Of the header or element, as ``namespace`` and ``name`` with a line feed between them."""
    attributes: dict[str, str]

    def __init__(self, whole: frozenset[str]) -> None:
        """Read a stream of which elements named in *whole* are wanted with what they hold; of others the start tag is enough."""
        self._whole = whole
        self._held = bytearray()
        self._seen = self._size = self._pieces = self._depth = 0
        self._below = False
        self._found: Kind | None = None
        self.condition = ""
        self.namespaces: dict[str | None, str] = {}
        self.texts: list[str] = []
        self.children: list[str] = []
        self._parser = parser = ParserCreate("UTF-8", "\n")
        parser.StartElementHandler = self._root
        parser.StartNamespaceDeclHandler = self.namespaces.setdefault
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = parser.CommentHandler = parser.ProcessingInstructionHandler = _restricted
        if hasattr(parser, "SetReparseDeferralEnabled"):
            parser.SetReparseDeferralEnabled(False)  # noqa: FBT003 - expat's own; we wait for `>` ourselves

    def hold(self, data: bytes) -> None:
        """Take *data*, to be read by `advance`."""
        self._held += data

    @property
    def held(self) -> int:
        """How many bytes have not been read."""
        return len(self._held)

    def release(self) -> bytes:
        """Return the bytes that have not been read; they are no longer ours."""
        rest = bytes(self._held)
        self._held.clear()
        return rest

    def advance(self) -> Kind | None:
        """Read until something is found; None where more bytes are needed."""
        held = self._held
        if self._depth and not self._below:
            self._go_below()
        while held:
            if held[0] != _OPEN and not self._pieces and not self._skipped():
                return self._stray() if held else None
            end = held.find(b">", self._seen) + 1
            if not end:
                break
            if self._size + end > MAX_ELEMENT_BYTES or self._pieces == MAX_PIECES:
                return self._fault("policy-violation")
            piece = bytes(held[:end])
            del held[:end]
            self._seen = 0
            found = self._parse(piece) if self._depth or self._pieces else self._parse_first(piece)
            if found is not None:
                self._size = self._pieces = 0
                return found
            self._size += end
            self._pieces += 1
        self._seen = len(held)
        return self._fault("policy-violation") if self._size + len(held) > MAX_ELEMENT_BYTES else None

    def close(self) -> None:
        """Read no more: expat and this reader let go of each other, and of their bytes."""
        self._held.clear()
        del self._parser

    def _parse_first(self, piece: bytes) -> Kind | None:
        """Read how a stream begins; expat would go along with UTF-16."""
        if piece in _DECLARATIONS:
            return None
        return self._fault("unsupported-encoding") if piece.startswith(_OTHER_ENCODINGS) else self._parse(piece)

    def _parse(self, piece: bytes) -> Kind | None:
        """Let expat read *piece*; return what it brought to its end."""
        self._found = None
        try:
            self._parser.Parse(piece, False)  # noqa: FBT003 - expat's own: more follows
        except Stop as stop:
            return self._fault(stop.args[0])
        except ExpatError as error:
            return self._fault(_CONDITIONS.get(error.code, "not-well-formed"))
        return self._found

    def _fault(self, condition: str) -> Kind:
        self.condition = condition
        return Kind.FAULT

    # ------------------------------------------------------------------------------------------------- between elements

    def _skipped(self) -> bool:
        """Drop white space that keeps a connection alive; say whether a tag begins behind it."""
        held = self._held
        del held[: len(held) - len(held.lstrip(_SPACE))]
        self._seen = 0
        return bool(held) and held[0] == _OPEN

    def _stray(self) -> Kind | None:
        """Say of something else than a tag what is wrong with it; None where its next byte tells."""
        held = self._held
        if self._depth:
            return self._fault("not-well-formed" if held[0] in _NO_CHARACTER else "invalid-xml")
        if held.startswith(_OTHER_ENCODINGS):
            return self._fault("unsupported-encoding")
        if len(held) == 1 and held[0] in _FIRST_OF_OTHERS:
            return None
        return self._fault("not-well-formed")

    # ------------------------------------------------------------------------------------------------- expat's handlers

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        del version, standalone
        if self._pieces:
            raise Stop("not-well-formed")  # the second of its kind
        if encoding is not None and encoding.lower() != "utf-8":
            raise Stop("unsupported-encoding")

    def _root(self, name: str, attributes: dict[str, str]) -> None:
        if len(attributes) > MAX_ATTRIBUTES:
            raise Stop("policy-violation")
        self.name, self.attributes, self._depth, self._found = name, attributes, 1, _HEADER

    def _go_below(self) -> None:
        """Read elements from here on: most streams are answered at their header."""
        parser = self._parser
        parser.StartNamespaceDeclHandler = None
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = self._start, self._end, self._text
        self._below = True

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        depth = self._depth
        if len(attributes) > MAX_ATTRIBUTES or depth == MAX_DEPTH:
            raise Stop("policy-violation")
        if depth == 1:
            self.name, self.attributes, self.texts, self.children = name, attributes, [], []
            if name not in self._whole:
                self._found = Kind.ELEMENT
        elif depth == _CHILD:
            self.children.append(name)
        self._depth = depth + 1

    def _end(self, name: str) -> None:
        del name
        self._depth -= 1
        if self._depth == 1:
            self._found = Kind.ELEMENT
        elif not self._depth:
            self._found = Kind.END

    def _text(self, text: str) -> None:
        if self._depth == _CHILD:
            self.texts.append(text)
        elif self._depth == 1 and text.strip(" \t\r\n"):
            raise Stop("invalid-xml")  # in a CDATA section between elements


def _restricted(*_: object) -> None:
    raise Stop("restricted-xml")
