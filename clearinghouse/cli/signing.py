"""``sign``: a text becomes a credential; without a text, one is composed from options."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from clearinghouse.cli import reading
from clearinghouse.cli.advising import findings, tell_finding
from clearinghouse.cli.drafts import Template, Wanted, composed
from clearinghouse.cli.options import Attributes, Demo, Json, Legacy, Passphrase
from clearinghouse.cli.output import as_json, raw_bytes
from clearinghouse.errors import BadSettings, ClearinghouseError, MalformedAssertion
from clearinghouse.keynote import admit
from clearinghouse.keynote.keys import PrivateKey
from clearinghouse.keynote.signing import sign as sign_text
from clearinghouse.keynote.signing import with_serial

EPILOG = """
\b
Examples:
  clearinghouse sign --key hub.key draft.kn > analyst.kn
  clearinghouse sign --key hub.key --licensee xmpp:ann@b.example \\
    --operation subscribe --condition 'topic == "incidents"' \\
    --until 2027-01-01 > analyst.kn
  clearinghouse sign --key auditor.key --licensee partner.pub \\
    --template audit --attribute XMPP_TLS_for_s2s=required \\
    --operation whitelist --may-delegate --until 2027-01-01 > audit.kn

\b
Exit status: 0 signed; 2 the text or the key cannot be used.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(sign)


def sign(  # noqa: PLR0913, PLR0917 - each option is a parameter
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The authorizer's key file.")],
    text: Annotated[str | None, typer.Argument(metavar="FILE", help="An assertion without Signature: file, - or text.")] = None,
    licensee: Annotated[list[str] | None, typer.Option(metavar="PRINCIPAL", help="Whom to license: text or file; of several, any.")] = None,
    threshold: Annotated[int, typer.Option(min=1, metavar="N", help="How many of the licensees have to ask together.")] = 1,
    condition: Annotated[list[str] | None, typer.Option(metavar="TEST", help="A KeyNote test; all of them have to hold.")] = None,
    value: Annotated[str, typer.Option(metavar="VALUE", help="The compliance value; without it, the strongest.")] = "",
    operation: Annotated[str, typer.Option(metavar="NAME", help="The one operation that it is for.")] = "",
    until: Annotated[str | None, typer.Option(metavar="DATE", help="The first day, in UTC, on which it no longer holds.")] = None,
    forever: Annotated[bool, typer.Option("--forever", help="No last day: it can only be revoked.")] = False,
    may_delegate: Annotated[bool, typer.Option("--may-delegate", help="The licensee may license others in turn.")] = False,
    comment: Annotated[str, typer.Option(metavar="TEXT", help="What people should know of it.")] = "",
    template: Annotated[
        Template | None, typer.Option(metavar="audit", help="audit: pin every audit attribute, by --attribute or as not audited.")
    ] = None,
    attribute: Attributes = None,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="The kind of signature, as in sig-rsa-sha512-base64.")] = None,
    as_is: Annotated[bool, typer.Option("--as-is", help="Sign the text as it is, without a serial of its own.")] = False,
    passphrase_file: Passphrase = None,
    allow_demo: Demo = False,
    allow_legacy: Legacy = False,
    json: Json = False,
) -> None:
    """Sign an assertion, or compose one from options and sign it.

    What is most likely a mistake in it is told on standard error, as by lint.
    What is composed can be used by its licensee alone (unless --may-delegate), for one operation and
    until a day. A serial in the Comment field makes its id unlike any other.
    """
    wanted = Wanted(
        licensee or [], threshold, condition or [], value, operation, until, forever, may_delegate, comment, template, attribute or []
    )
    signer = reading.private_key(key, passphrase_file, allow_demo=allow_demo)
    signed = _signed(_unsigned(text, wanted, signer, as_is=as_is), signer, kind, allow_legacy=allow_legacy)
    as_json("sign", ok=True, **_members(signed)) if json else raw_bytes(signed)
    _warn(signed)


def _warn(signed: bytes) -> None:
    """Tell what in the credential is most likely a mistake; its lines are those of the text that was printed."""
    for finding in findings([reading.Piece("the credential", 1, signed)]):
        if finding.level != "note":
            tell_finding(finding, error=True)


def _unsigned(text: str | None, wanted: Wanted, key: PrivateKey, *, as_is: bool) -> reading.Piece:
    """Return what is to be signed: the text that was given, or what was composed."""
    if text is not None and wanted.licensees:
        raise BadSettings("a text was given, and options to compose one", mend="give either the text or `--licensee`")
    serial = secrets.token_hex(16)
    if wanted.licensees:
        return reading.Piece("the options", 1, composed(wanted, key.principal, serial))
    if text is None:
        raise BadSettings("there is nothing to sign", mend="give an assertion, or compose one with `--licensee`")
    piece = reading.one(text)
    try:
        return piece if as_is else replace(piece, raw=with_serial(piece.raw, serial))
    except ClearinghouseError as error:
        raise reading.located(error, piece) from None


def _signed(piece: reading.Piece, key: PrivateKey, kind: str | None, *, allow_legacy: bool) -> bytes:
    try:
        return sign_text(piece.raw, key, kind=kind, allow_legacy=allow_legacy)
    except MalformedAssertion as error:
        raise reading.located(error, piece) from None


def _members(signed: bytes) -> dict[str, object]:
    return {"id": admit(signed, allow_legacy=True).name, "text": signed.decode("utf-8", "replace")}
