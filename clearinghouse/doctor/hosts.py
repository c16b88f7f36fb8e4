"""The certificates that each host of a server may show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from clearinghouse.doctor.certificates import Certificate, read_certificates
from clearinghouse.importing.ejabberd import EjabberdConfig
from clearinghouse.importing.lua import Table
from clearinghouse.importing.prosody import GLOBAL, ProsodyConfig, Section

MOST_CERTIFICATES: Final = 512
"""Certificate files of one server that are looked at."""

_PEM: Final = ("*.crt", "*.pem", "*.cer", "*/fullchain.pem", "*/cert.pem")
_LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999, the last that a certificate can name (RFC 5280, section 4.1.2.5)."""


def certificates_of(
    prosody: ProsodyConfig | None, ejabberd: EjabberdConfig | None, told: Mapping[str, Any], now: datetime
) -> Mapping[str, tuple[Certificate, ...]]:
    """Return the certificates of each host, as the running server has *told* or as configurations name files.

    A host of whose certificates nothing is known is left out.
    """
    files: dict[Path, tuple[Certificate, ...]] = {}
    found: dict[str, tuple[Certificate, ...]] = {}
    for host, paths in [*(_of_prosody(prosody) if prosody else ()), *(_of_ejabberd(ejabberd) if ejabberd else ())]:
        for path in paths:
            if path not in files:
                files[path] = tuple(read_certificates(path))
        if read := tuple(each for path in paths for each in files[path]):
            found[host] = read
    return found | dict(_told(told.get("certificates"), now))


def _told(certificates: object, now: datetime) -> Iterator[tuple[str, tuple[Certificate, ...]]]:
    for host, each in certificates.items() if isinstance(certificates, Mapping) else ():
        match each:
            case {"names": list(names), "until": int(until)} if 0 <= until <= _LAST_SECOND:
                lowered = tuple(str(name).lower() for name in names)
                yield str(host), (Certificate(lowered, datetime.fromtimestamp(until, now.tzinfo), "the running server"),)
            case _:
                pass  # nothing is known


def _of_prosody(config: ProsodyConfig) -> Iterator[tuple[str, list[Path]]]:
    """Yield each host with the files that its certificate may be in: the one that is named, or those of `certificates`."""
    folder = config.option(GLOBAL, "certificates")
    text = folder.value.plain if folder and isinstance(folder.value.plain, str) else "certs"
    place = Path(folder.place.file if folder else config.files[0] if config.files else "").parent
    known = _in_folder(place / text, _PEM)
    for host in config.hosts:
        if host.component != "component" and "s2s" in config.modules(host.name):
            own = _named(config, host)
            yield host.name, [own] if own else known


def _named(config: ProsodyConfig, host: Section) -> Path | None:
    """Return the certificate that a host's `ssl` names."""
    option = config.option(host.name, "ssl")
    table = option.value.plain if option else None
    certificate = table.fields.get("certificate") if isinstance(table, Table) else None
    if option is None or certificate is None or not isinstance(certificate.plain, str):
        return None
    return Path(option.place.file).parent / certificate.plain


def _of_ejabberd(config: EjabberdConfig) -> Iterator[tuple[str, list[Path]]]:
    named = [(Path(each.file).parent, node.text) for each in config.top.get("certfiles", ()) for node in each.node.items()]
    paths = [path for folder, text in named for path in _in_folder(folder, (text,)) or [folder / text]]
    for host, _ in config.hosts if paths else ():
        yield host, paths[:MOST_CERTIFICATES]


def _in_folder(folder: Path, patterns: Iterable[str]) -> list[Path]:
    found: list[Path] = []
    for pattern in patterns:
        root, below = (Path(pattern).anchor or folder, pattern.lstrip("/"))
        with suppress(OSError, ValueError, NotImplementedError):
            found += sorted(Path(root).glob(below))
    return found[:MOST_CERTIFICATES]
