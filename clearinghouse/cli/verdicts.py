"""What becomes of an assertion when it is admitted: its id, its signature, or why it is refused."""

from __future__ import annotations

from dataclasses import dataclass

from clearinghouse.cli.reading import Piece, located
from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote import Admitted, Limits, admit, syntax
from clearinghouse.keynote.octets import from_octets
from clearinghouse.keynote.principals import describe, shown
from clearinghouse.keynote.texts import fold


@dataclass(frozen=True, slots=True)
class Verdict:
    """One assertion and whether it would be admitted as a credential; ``error`` says why not."""

    piece: Piece
    admitted: Admitted | None
    error: ClearinghouseError | None

    @property
    def valid(self) -> bool:
        """Whether it is a credential whose signature holds."""
        return self.error is None

    @property
    def tree(self) -> syntax.Assertion | None:
        """The tree, where the assertion can be read."""
        return self.admitted.tree() if self.admitted else None

    @property
    def id(self) -> str:
        """The id, in hexadecimal, where the assertion can be read."""
        return self.admitted.name if self.admitted else ""

    @property
    def authorizer(self) -> str:
        """Who speaks, as people write it."""
        return from_octets(self.admitted.authorizer or "") if self.admitted else ""

    @property
    def kind(self) -> str:
        """The kind of the signature, such as ``sig-ed25519-hex``; empty where there is none."""
        tree = self.tree
        signature = fold(tree.signature, dict(tree.constants)) if tree and tree.signature else None
        return shown(signature.partition(":")[0]) if signature else ""

    def as_json(self) -> dict[str, object]:
        """Return the verdict in the documented schema."""
        error = self.error and located(self.error, self.piece).error
        return {
            "file": self.piece.where,
            "line": self.piece.line,
            "id": self.id,
            "authorizer": self.authorizer,
            "description": describe(self.admitted.authorizer or "") if self.admitted else "",
            "signature": self.kind,
            "valid": self.valid,
            "error": error.as_json() if error else None,
        }


def judged(piece: Piece, *, allow_legacy: bool) -> Verdict:
    """Return the verdict on one assertion; it is read with the limits for one's own files."""
    limits = Limits.local()
    try:
        admitted = admit(piece.raw, policy=True, limits=limits, source=piece.place)
    except ClearinghouseError as error:
        return Verdict(piece, None, error)
    try:
        return Verdict(piece, admit(piece.raw, allow_legacy=allow_legacy, limits=limits, source=piece.place), None)
    except ClearinghouseError as error:
        return Verdict(piece, admitted, error)
