"""``inspect``: any key, certificate, credential or policy, in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from clearinghouse.cli import principals, reading
from clearinghouse.cli.accounts import account, tell_account
from clearinghouse.cli.options import Json, Legacy, Passphrase
from clearinghouse.cli.output import as_json, clean, finish, say
from clearinghouse.cli.verdicts import judged
from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote.keys import is_demo
from clearinghouse.keynote.principals import check_strength, describe, normalise

EPILOG = """
\b
Examples:
  clearinghouse inspect hub.key
  clearinghouse inspect analyst.kn
  clearinghouse inspect ed25519-hex:3e6a8fa45b8bec450cb2e9613d9b5dec...

\b
Exit status: 0 it can be used; 1 it would be refused; 2 it cannot be read.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("inspect", epilog=EPILOG)(inspect_)


def inspect_(
    what: Annotated[str, typer.Argument(metavar="FILE|TEXT", help="A key, principal, certificate, credential or policy.")],
    passphrase_file: Passphrase = None,
    allow_legacy: Legacy = False,
    json: Json = False,
) -> None:
    """Say in plain words what a key or an assertion is.

    Of an assertion: who trusts whom, for what, until when, what its signature covers, and what the
    linter advises. Of a key: its principal, and whether it is strong enough.
    """
    if _is_principal(what):
        ok = _tell_principal(_principal_members("principal", principals.principal(what)), json=json)
    else:
        ok = _tell_file(what, reading.read(what), passphrase_file, allow_legacy=allow_legacy, json=json)
    finish(ok=ok)


def _is_principal(what: str) -> bool:
    """Tell whether the argument is a principal itself: it names a key, or it is no file's name."""
    if what == "-" or reading.is_literal(what) or principals.is_file(what) or what.endswith(reading.ENDING):
        return False
    return ":" in what or not Path(what).exists()


def _tell_file(what: str, data: bytes, passphrase_file: Path | None, *, allow_legacy: bool, json: bool) -> bool:
    if principals.is_private(data):
        key = reading.private_key(Path(what), passphrase_file, allow_demo=True)
        return _tell_principal(_principal_members("private key", key.principal) | {"demo": key.demo, "file": what}, json=json)
    if (named := principals.in_file(data)) is not None:
        kind = "certificate" if b"BEGIN CERTIFICATE" in data else "principal"
        about = principals.about_certificate(data) if kind == "certificate" else {}
        return _tell_principal(_principal_members(kind, named) | about | {"demo": is_demo(data), "file": reading.name_of(what)}, json=json)
    return _tell_assertions(reading.split(what, data), allow_legacy=allow_legacy, json=json)


def _principal_members(kind: str, principal: str) -> dict[str, Any]:
    """Return what there is to say about a principal; raises BadPrincipal for one that cannot be decoded."""
    normal = normalise(principal)
    members: dict[str, Any] = {"kind": kind, "principal": normal, "description": describe(normal), "weakness": None}
    try:
        check_strength(normal, allow_legacy=False)
    except ClearinghouseError as error:
        members["weakness"] = error.as_json()
    return members


def _tell_principal(members: dict[str, Any], *, json: bool) -> bool:
    weakness = members["weakness"]
    if json:
        as_json("inspect", ok=weakness is None, **members)
        return weakness is None
    say(f"{members['kind']}: {members['description']}")
    say(clean(members["principal"]), indent=2)
    for name in ("subject", "issuer", "valid_from", "valid_until"):
        if name in members:
            say(f"{name.replace('_', ' ')} {clean(members[name])} (KeyNote does not look at it)", indent=2)
    if members.get("demo"):
        say("a demonstration key: everybody has it, so it proves nothing", indent=2)
    if weakness is not None:
        say(f"{weakness['message']}: {weakness['mend']}", indent=2)
    return weakness is None


def _tell_assertions(found: list[reading.Piece], *, allow_legacy: bool, json: bool) -> bool:
    accounts = [account(judged(piece, allow_legacy=allow_legacy)) for piece in found]
    ok = all(each.usable for each in accounts)
    if json:
        as_json("inspect", ok=ok, kind="assertions", assertions=[each.as_json() for each in accounts])
    else:
        for number, each in enumerate(accounts):
            tell_account(each, apart=number > 0)
    return ok
