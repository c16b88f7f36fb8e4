"""``pin``: the digest by which others know a server's key, from its certificates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from clearinghouse.cli.options import Json
from clearinghouse.cli.output import STRONG, as_json, clean, say
from clearinghouse.errors import BadSettings
from clearinghouse.federation.names import normal

EPILOG: Final = """
\b
Examples:
  clearinghouse pin /etc/prosody/certs/a.example.crt
  clearinghouse pin door.crt next-door.crt --json
  clearinghouse member change a.example --certificate a.example.crt \\
    --certificate next.crt

\b
Exit status: 0 told; 2 a file has no certificate.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EPILOG)(pin)


def pin(
    certificate: Annotated[list[Path], typer.Argument(metavar="CERTIFICATE...", help="Files in PEM; the first in each counts.")],
    json: Json = False,
) -> None:
    """Print the pin of certificates: the SHA-256 of the key in each.

    It goes into a member's record (`member change --pin`), and into the settings of the server
    modules, which follow a redirection only from a door whose key is pinned. A certificate that is
    renewed for the same key keeps its pin.
    """
    told = [_told(each) for each in certificate]
    if json:
        as_json("pin", ok=True, certificates=told)
        return
    for each in told:
        say((each["pin"], STRONG))
        say(clean(f"{each['file']}: {', '.join(each['names']) or 'it names nobody'}; until {each['until'][:10]}"), indent=2)


def pins_of(certificates: Sequence[Path] | None, pins: Sequence[str] | None, domain: str) -> str | None:
    """Return the pins that options name for *domain*, as a record's word has them; ``None`` where nothing was said of them.

    Raises `BadSettings` for a certificate that is not for that domain: whoever is sent there would refuse it.
    """
    if certificates is None and pins is None:
        return None
    return " ".join([*(_pin_for(each, domain) for each in certificates or ()), *(pins or ())]).strip()


def _pin_for(path: Path, domain: str) -> str:
    from clearinghouse.doctor.certificates import Certificate, names_of  # noqa: PLC0415 - as in `serve`
    from clearinghouse.importing.certificates import read_certificate, read_pin  # noqa: PLC0415

    found = read_certificate(path)
    names = tuple(names_of(found))
    if domain and not Certificate(names, found.not_valid_after_utc, str(path)).covers(normal(domain)):
        named = ", ".join(sorted(set(names))[:5]) or "nobody"
        mend = "give a certificate that its server presents for that name; `--pin` takes any"
        raise BadSettings(f"`{clean(str(path))}` is not for `{clean(domain)}`; it names {clean(named)}", mend=mend)
    return read_pin(path)


def _told(path: Path) -> dict[str, Any]:
    from clearinghouse.doctor.certificates import names_of  # noqa: PLC0415 - as in `serve`
    from clearinghouse.importing.certificates import read_certificate, read_pin  # noqa: PLC0415

    found = read_certificate(path)
    until = found.not_valid_after_utc.astimezone(UTC).isoformat()
    return {"file": str(path), "names": sorted(set(names_of(found))), "until": until, "pin": read_pin(path)}
