"""``keygen``: private keys, and the principals that they sign for."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli import reading
from clearinghouse.cli.options import Json, Passphrase
from clearinghouse.cli.output import as_json, clean, say
from clearinghouse.keynote.keys import DEFAULT_RSA_BITS, PrivateKey, generate, write_key_file
from clearinghouse.keynote.principals import describe

EPILOG = """
\b
Examples:
  clearinghouse keygen hub.key > hub.pub
  clearinghouse keygen --public hub.key

\b
Exit status: 0 made or shown; 2 the file exists, or cannot be used.
"""


class Kind(StrEnum):
    """The kinds of keys that are made."""

    ED25519 = "ed25519"
    RSA = "rsa"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(keygen)


def keygen(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The key file: PEM, mode 0600, never overwritten.")],
    kind: Annotated[Kind, typer.Option(help="Ed25519, or RSA for the sake of other KeyNote engines.")] = Kind.ED25519,
    bits: Annotated[int, typer.Option(metavar="N", help="Bits of an RSA key.")] = DEFAULT_RSA_BITS,
    passphrase_file: Passphrase = None,
    demo: Annotated[bool, typer.Option("--demo", help="Mark the key as a demonstration that everybody may have.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Show the principal of an existing key, and make none.")] = False,
    json: Json = False,
) -> None:
    """Make a private key, and print its principal.

    The principal stands in Authorizer and Licensees fields; it is public. The key file is never shown.
    """
    if public:
        key = reading.private_key(file, passphrase_file, allow_demo=True)
    else:
        key = generate(kind.value, rsa_bits=bits, demo=demo)
        write_key_file(file, key, passphrase=reading.passphrase(passphrase_file))
    tell(key, file, made=not public) if not json else as_json("keygen", ok=True, **_members(key, file))


def tell(key: PrivateKey, file: Path, *, made: bool) -> None:
    """Print the principal alone on standard output, and what it is on standard error."""
    say(key.principal)
    what = "the private key is in" if made else "read from"
    say(f"{describe(key.principal)}, {what} {clean(str(file))}{' (demonstration)' if key.demo else ''}", error=True)


def _members(key: PrivateKey, file: Path) -> dict[str, object]:
    return {"principal": key.principal, "description": describe(key.principal), "file": str(file), "demo": key.demo}
