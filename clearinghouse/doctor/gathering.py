"""Fetches facts: configurations, files, certificates, and what the agent has written down of its server."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from clearinghouse.agent.following import FOLDER
from clearinghouse.agent.keeping import StateDirectory
from clearinghouse.clearing.dsse import ROOT, TABLE, opened
from clearinghouse.clearing.wire import read_stamp
from clearinghouse.doctor.certificates import Certificate, read_certificates
from clearinghouse.doctor.dns import Record, records
from clearinghouse.doctor.facts import EMPTY, Facts, FileMode, Lifetime
from clearinghouse.doctor.versions import prosody_files
from clearinghouse.doors.control.client import call_at
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.federation import roots, tables
from clearinghouse.federation.image import Image
from clearinghouse.federation.keeping import HEAD_FILE, MEMBERS_FILE, ROOTS
from clearinghouse.federation.members import Member, read_member, unlisted
from clearinghouse.federation.shadow import image_of, module_in
from clearinghouse.importing.ejabberd import EjabberdConfig, Setting, read_ejabberd
from clearinghouse.importing.entries import Unread
from clearinghouse.importing.files import read_bytes, text_of
from clearinghouse.importing.lua import Table
from clearinghouse.importing.prosody import GLOBAL, ProsodyConfig, read_prosody
from clearinghouse.importing.records import read_members
from clearinghouse.settings import Settings, read_settings
from clearinghouse.settings.agent import AgentSettings
from clearinghouse.settings.reading import read_agent_settings

MOST_CERTIFICATES: Final = 512
"""Certificate files of one server that are looked at."""

_PEM: Final = ("*.crt", "*.pem", "*.cer", "*/fullchain.pem", "*/cert.pem")
_IMAGES: Final = "images"
_MODULE_STATUS: Final = "module-status.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be inspected; each may be left out."""

    prosody: Path | None = None
    ejabberd: Path | None = None
    agent: Path | None = None
    clearinghouse: Path | None = None
    status: Path | None = None
    dns: Path | None = None
    members: Path | None = None
    doors: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


def gathered(asked: Asked, now: datetime) -> Facts:
    """Return the facts; raises what stands in the way of reading a file that was named."""
    prosody = read_prosody(asked.prosody) if asked.prosody else None
    ejabberd = read_ejabberd(asked.ejabberd) if asked.ejabberd else None
    agent = read_agent_settings(asked.agent) if asked.agent else None
    clearinghouse = read_settings(asked.clearinghouse) if asked.clearinghouse else None
    status = _status(asked.status) if asked.status or agent is None else _running(agent)
    state = _State.of(agent)
    live = state.live or module_in(status)
    dns = tuple(records(text_of(read_bytes(asked.dns)))) if asked.dns else ()
    doors, addresses = _doors(asked, agent), _addresses(asked, agent, dns)
    return Facts(
        now=now,
        prosody=prosody,
        ejabberd=ejabberd,
        modules=_modules(prosody, asked.prosody),
        files=tuple(_files(asked, agent, clearinghouse, _with_secrets(prosody, ejabberd))),
        certificates=_certificates(prosody, ejabberd, live, now),
        agent=agent,
        clearinghouse=clearinghouse,
        asked=agent is not None or asked.status is not None,
        live=live,
        live_at=_instant(live.get("at")),
        status=status if "standing" in status else EMPTY,
        images=state.images,
        images_at=state.images_at,
        dns=dns,
        doors=doors,
        addresses=addresses,
        members=(*state.members, *(read_members(asked.members) if asked.members else ())),
        lifetimes=state.lifetimes,
        admits=_admits(agent),
        unread=tuple(_unread(prosody, ejabberd)),
    )


def _unread(prosody: ProsodyConfig | None, ejabberd: EjabberdConfig | None) -> Iterator[Unread]:
    for config in (prosody, ejabberd):
        yield from config.unread if config else ()


# -- what the agent has written down ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _State:
    """The agent's state directory, as far as it can be read."""

    live: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    images: tuple[Image, ...] = ()
    images_at: datetime | None = None
    members: tuple[Member, ...] = ()
    lifetimes: tuple[Lifetime, ...] = ()

    @classmethod
    def of(cls, agent: AgentSettings | None) -> _State:
        if agent is None or not agent.state.is_dir():
            return cls()
        directory = StateDirectory(agent.state)
        try:
            kept = directory.kept(FOLDER)
            live = directory.read_json(_MODULE_STATUS) or EMPTY
            paths = sorted((agent.state / _IMAGES).glob("*.json"))
            images = [_image(directory.read_json(f"{_IMAGES}/{path.name}")) for path in paths]
            made = max((path.stat().st_mtime for path in paths), default=0.0)
        except (ClearinghouseError, OSError):  # D402 says why
            return cls()
        return cls(
            live,
            tuple(each for each in images if each),
            datetime.fromtimestamp(made, UTC) if made else None,
            tuple(_listed(kept.get(MEMBERS_FILE))),
            tuple(_lifetimes(kept)),
        )


def _image(found: Mapping[str, Any] | None) -> Image | None:
    """Return the image that the agent wrote down, or ``None`` for something else."""
    try:
        return image_of(found or EMPTY)
    except (ValueError, ClearinghouseError):
        return None


def _lifetimes(kept: Mapping[str, bytes]) -> Iterator[Lifetime]:
    with suppress(ClearinghouseError):
        if HEAD_FILE in kept:
            head = tables.read_payload(opened(kept[HEAD_FILE], payload_type=TABLE).payload)
            yield Lifetime(f"table {head.epoch}.{head.version}", head.issued, head.expires)
        if ROOTS in kept:
            root = roots.read_payload(opened(kept[ROOTS].splitlines()[-1], payload_type=ROOT).payload)
            yield Lifetime(f"root metadata {root.generation}", root.issued, root.expires)


def _listed(raw: bytes | None) -> Iterator[Member]:
    with suppress(ClearinghouseError):
        yield from (read_member(each).member for each in unlisted(raw or b"[]"))


# -- what was handed in -------------------------------------------------------------------------------


def _status(path: Path | None) -> Mapping[str, Any]:
    """Return a saved status: what `agent status --json` printed, or what a module answered."""
    if path is None:
        return EMPTY
    try:
        found = json.loads(read_bytes(path))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadSettings(f"`{path}` is no status", mend="give what `clearinghouse agent status --json` printed")
    inner = found.get("status")
    return inner if isinstance(inner, dict) else found


def _running(agent: AgentSettings) -> Mapping[str, Any]:
    """Return the status of the agent if it runs, and we may ask it."""
    if agent.socket.exists():
        with suppress(ClearinghouseError):
            return _mapping(call_at(agent.socket, "status").get("status"))
    return EMPTY


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else EMPTY


def _instant(found: object) -> datetime | None:
    with suppress(ValueError):
        return read_stamp(found) if isinstance(found, str) else None
    return None


def _doors(asked: Asked, agent: AgentSettings | None) -> frozenset[str]:
    """Return the names under which the clearinghouse listens: those that are given, and where the agent's tables come from."""
    urls = [each.url for each in agent.source if each.url] if agent else []
    return frozenset({each.lower().rstrip(".") for each in asked.doors} | {urlsplit(url).hostname or "" for url in urls}) - {""}


def _addresses(asked: Asked, agent: AgentSettings | None, dns: Iterable[Record]) -> frozenset[str]:
    """Return our own addresses: those that are given, and the targets of our own domains in the DNS data."""
    ours = set(agent.governed) if agent else set[str]()
    return frozenset(asked.addresses) | {record.target for record in dns if record.domain in ours}


# -- files --------------------------------------------------------------------------------------------


def _files(asked: Asked, agent: AgentSettings | None, hub: Settings | None, configurations: Iterable[str]) -> Iterator[FileMode]:
    named: list[tuple[Path, str]] = [(Path(each), "configuration") for each in configurations]
    named += [(path, "settings") for path in (asked.agent, asked.clearinghouse) if path]
    if agent is not None:
        named += [(agent.server.secret_file, "secret"), (agent.key_file, "key"), (agent.state, "state")]
        named += [(agent.policies.directory, "settings"), (agent.credentials.directory, "settings")]
    if hub is not None:
        named += [(broker.secret_file, "secret") for broker in hub.broker]
        named += [(each.key_file, "key") for each in (hub.desk, hub.ledger) if each.key_file]
        named += [(hub.policies.directory, "settings"), (hub.credentials.directory, "settings"), (hub.store.path, "secret")]
    for path, kind in named:
        with suppress(OSError):
            status = path.stat()
            yield FileMode(path, kind, stat.S_IMODE(status.st_mode), status.st_uid)


def _with_secrets(prosody: ProsodyConfig | None, ejabberd: EjabberdConfig | None) -> set[str]:
    """Return the files of configurations in which a secret of a component stands."""
    options = (option for section in (prosody.sections.values() if prosody else ()) for option in section.options.items())
    listeners = ejabberd.listeners() if ejabberd else ()
    passwords = ((each.file, each.get("hosts", name, "password") or each.get("password")) for each, name in _components(listeners))
    return {option.place.file for name, option in options if name == "component_secret"} | {file for file, found in passwords if found}


def _components(listeners: Iterable[Setting]) -> Iterator[tuple[Setting, str]]:
    for listener in listeners:
        hosts = listener.get("hosts")
        for name, _ in hosts.pairs() if hosts else ():
            yield listener, name


def _admits(agent: AgentSettings | None) -> bool | None:
    if agent is None:
        return None
    folder = agent.policies.directory / "admit"
    return bool(agent.admit.minimum or agent.admit.levels or any(folder.glob("*.kn")))


def _modules(config: ProsodyConfig | None, path: Path | None) -> Mapping[str, str]:
    """Return what is wrong with the module's files, where the configuration says that they are."""
    if config is None or path is None or "clearinghouse" not in config.modules(GLOBAL):
        return EMPTY
    return prosody_files([path.parent / text for text, _ in config.texts(GLOBAL, "plugin_paths")])


# -- certificates -------------------------------------------------------------------------------------


def _certificates(
    prosody: ProsodyConfig | None, ejabberd: EjabberdConfig | None, live: Mapping[str, Any], now: datetime
) -> Mapping[str, tuple[Certificate, ...]]:
    """Return the certificates that each host may show; a host of whose certificates nothing is known is left out."""
    found: dict[str, tuple[Certificate, ...]] = {}
    for host, paths in [*(_of_prosody(prosody) if prosody else ()), *(_of_ejabberd(ejabberd) if ejabberd else ())]:
        if read := tuple(each for path in paths for each in read_certificates(path)):
            found[host] = read
    told = _mapping(live.get("facts")).get("certificates")
    for host, each in _mapping(told).items():
        if isinstance(each, Mapping) and isinstance(each.get("until"), int) and isinstance(each.get("names"), list):
            until = datetime.fromtimestamp(each["until"], now.tzinfo)
            found[str(host)] = (Certificate(tuple(str(name).lower() for name in each["names"]), until, "the running server"),)
    return found


def _of_prosody(config: ProsodyConfig) -> Iterator[tuple[str, list[Path]]]:
    """Yield each host with the files that its certificate may be in: the one that is named, or those of `certificates`."""
    for host in config.hosts:
        if host.component == "component" or "s2s" not in config.modules(host.name):
            continue
        named = config.option(host.name, "ssl")
        table = named.value.plain if named else None
        certificate = table.fields.get("certificate") if isinstance(table, Table) else None
        if named and certificate and isinstance(certificate.plain, str):
            yield host.name, [Path(named.place.file).parent / certificate.plain]
            continue
        folder = config.option(GLOBAL, "certificates")
        place = Path(folder.place.file if folder else config.files[0] if config.files else "").parent
        text = folder.value.plain if folder and isinstance(folder.value.plain, str) else "certs"
        yield host.name, _in_folder(place / text, _PEM)


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
