"""How what a person asks reaches the service: through its socket as that user, or signed, at once or in a file."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import typer

from clearinghouse.clearing.acts import Act, written_act
from clearinghouse.clearing.envelope import LONGEST_LIFE, REQUEST, Asked, seal, written
from clearinghouse.cli import reading
from clearinghouse.cli.output import OTHER, clean, say
from clearinghouse.doors.control.client import call
from clearinghouse.errors import BadSettings
from clearinghouse.keynote import encoding
from clearinghouse.keynote.encoding import Encoding
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.settings import read_settings

NONCE_BYTES: Final = 16
"""Random bytes of a nonce: two envelopes are never the same, as far as that can be."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """The options of one act that say who asks, and by which way."""

    config: Path
    keys: Sequence[Path] = ()
    output: Path | None = None
    passphrase_file: Path | None = None
    allow_demo: bool = False
    community: str = ""

    def check(self) -> None:
        """Raise what is wrong with the options, before anybody has read a case for nothing."""
        if self.output is not None and not self.keys:
            raise BadSettings("only what is signed can be carried elsewhere", mend="give a key, `--key FILE`, or leave `-o` out")
        if self.output is not None and self.output.exists():
            raise _taken(self.output)
        self.signers()

    def asks(self, do: str, **words: str) -> dict[str, Any]:
        """Return the service's answer to a question of this user."""
        return call(read_settings(self.config), do, **words)

    def tries(self, act: Act) -> dict[str, Any]:
        """Return what *act* would change."""
        kind, body = written_act(act)
        return self.asks(kind, **body, dry_run="yes")

    def carries(self, act: Act) -> dict[str, Any] | None:
        """Have *act* done, and return the answer; ``None`` where its envelope was written to a file instead."""
        return self.sends(*written_act(act))

    def sends(self, kind: str, body: Mapping[str, str]) -> dict[str, Any] | None:
        """Have what *kind* and *body* say done, as `carries` does."""
        if not self.keys:
            return self.asks(kind, **body)
        envelope = self._sealed(kind, body)
        if self.output is not None:
            _write(self.output, envelope)
            return None
        return self.asks("submit", envelope=encoding.encode(envelope, Encoding.BASE64))

    def _sealed(self, kind: str, body: Mapping[str, str]) -> bytes:
        now = datetime.now(UTC).replace(microsecond=0)
        audience = self.community or read_settings(self.config).community
        asked = Asked(kind, audience, secrets.token_urlsafe(NONCE_BYTES), now, now + LONGEST_LIFE, body)
        return seal(written(asked), REQUEST, self.signers())

    def signers(self) -> Sequence[PrivateKey]:
        """Return the keys, which are read now."""
        return [reading.private_key(each, self.passphrase_file, allow_demo=self.allow_demo) for each in self.keys]

    def tell_written(self) -> None:
        """Say what to do with the envelope that was written."""
        minutes = int(LONGEST_LIFE / timedelta(minutes=1))
        say(f"signed; hand it in within {minutes} minutes: clearinghouse submit {clean(str(self.output))}")


def _taken(path: Path) -> BadSettings:
    return BadSettings(f"`{clean(str(path))}` exists already", mend="choose another name, it is never overwritten")


def _write(path: Path, envelope: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    except FileExistsError:
        raise _taken(path) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(envelope + b"\n")


def confirm(question: str, *, yes: bool, json: bool = False) -> None:
    """Go on where a person agrees; end with status 1 where they do not, and refuse to guess where nobody can be asked.

    With *json* nobody can: a question has no place beside the one object.
    """
    if yes:
        return
    if json or not sys.stdin.isatty():
        raise BadSettings("nobody is there who could agree", mend="look at what would be done, then add `--yes`")
    if not typer.confirm(question):
        say("nothing was done")
        raise typer.Exit(OTHER)
