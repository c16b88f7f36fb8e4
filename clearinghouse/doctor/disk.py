"""Files that everything rests on: who can reach them, and what they say of themselves."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from clearinghouse.doctor.facts import EMPTY, FileMode, Lifetime
from clearinghouse.doctor.state import lifetime_of_root
from clearinghouse.doctor.versions import prosody_files
from clearinghouse.errors import ClearinghouseError
from clearinghouse.importing.ejabberd import EjabberdConfig, Setting
from clearinghouse.importing.files import read_bytes
from clearinghouse.importing.prosody import GLOBAL, ProsodyConfig
from clearinghouse.settings import Settings, Signing
from clearinghouse.settings.agent import AgentSettings

_ADMIT: Final = "admit"
_POLICIES: Final = "*.kn"
_MOST_ROOTS: Final = 1_000
"""Generations of root metadata that are looked for; one a year is usual."""

Named = tuple[Path | None, str]


def modes(named: Iterable[Named]) -> Iterator[FileMode]:
    """Yield who can reach each file or folder that there is."""
    for path, kind in named:
        with suppress(OSError):
            if path is not None:
                status = path.stat()
                yield FileMode(path, kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def of_agent(agent: AgentSettings) -> Iterator[Named]:
    """Yield the files of an agent."""
    yield agent.server.secret_file, "secret"
    yield agent.state, "state"
    for key in (agent.key_file, agent.requests.private_key_file, agent.requests.desk_key_file):
        yield key, "key"
    for folder in (agent.policies.directory, agent.credentials.directory):
        yield folder, "settings"


def of_clearinghouse(hub: Settings) -> Iterator[Named]:
    """Yield the files of a clearinghouse."""
    yield from ((broker.secret_file, "secret") for broker in hub.broker)
    yield from ((each.key_file, "key") for each in signers(hub).values())
    yield hub.http.key_file if hub.http else None, "key"
    yield hub.store.path, "store"
    yield hub.store.url_file, "secret"
    if hub.redirect is not None:
        yield from ((path, "key") for path in (hub.redirect.key_file, *(each.key_file for each in hub.redirect.fronted)))
    for folder in (hub.policies.directory, hub.credentials.directory):
        yield folder, "settings"


def signers(hub: Settings) -> dict[str, Signing]:
    """Return who signs for a clearinghouse, by the section of the settings."""
    named: dict[str, Signing] = {
        "desk": hub.desk,
        "ledger": hub.ledger,
        "registrar": hub.registrar,
        "revoker": hub.revoker,
        "timestamp_signer": hub.timestamp_signer,
    }
    return named | {f"table_signer {number}": each for number, each in enumerate(hub.table_signer, start=1)}


def of_servers(prosody: ProsodyConfig | None, ejabberd: EjabberdConfig | None) -> Iterator[Named]:
    """Yield the files of configurations in which a secret of a component stands."""
    options = [option for section in (prosody.sections.values() if prosody else ()) for option in section.options.items()]
    found = {option.place.file for name, option in options if name == "component_secret"}
    for listener, name in _components(ejabberd.listeners() if ejabberd else ()):
        if listener.get("hosts", name, "password") or listener.get("password"):
            found.add(listener.file)
    yield from ((Path(each), "configuration") for each in sorted(found))


def _components(listeners: Iterable[Setting]) -> Iterator[tuple[Setting, str]]:
    for listener in listeners:
        hosts = listener.get("hosts")
        for name, _ in hosts.pairs() if hosts else ():
            yield listener, name


def admits(agent: AgentSettings | None) -> bool | None:
    """Say whether anything in an agent's settings or policies could admit somebody."""
    if agent is None:
        return None
    return bool(agent.admit.minimum or agent.admit.levels or any((agent.policies.directory / _ADMIT).glob(_POLICIES)))


def module_faults(config: ProsodyConfig | None, path: Path | None) -> Mapping[str, str]:
    """Return what is wrong with the module's files, where the configuration says that they are."""
    if config is None or path is None or "clearinghouse" not in config.modules(GLOBAL):
        return EMPTY
    return prosody_files([path.parent / text for text, _ in config.texts(GLOBAL, "plugin_paths")])


def root_of(hub: Settings | None) -> Iterator[Lifetime]:
    """Yield the newest root metadata of a clearinghouse, where it can be read."""
    if hub is None or hub.federation is None:
        return
    folder = hub.federation.root_directory
    numbers = [number for number in range(1, _MOST_ROOTS) if (folder / f"{number}.json").exists()]
    with suppress(ClearinghouseError, ValueError):
        if numbers:
            yield lifetime_of_root(read_bytes(folder / f"{numbers[-1]}.json").strip())
