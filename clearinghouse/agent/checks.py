"""What an agent would start with: everything is loaded, and nothing connects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

from clearinghouse.agent.applying.shorthand import ADMIT, OVERRIDE, policies_of, with_policies, written_out
from clearinghouse.agent.sources.https import trusting
from clearinghouse.clearing.snapshot import Snapshot
from clearinghouse.errors import ClearinghouseError
from clearinghouse.keynote.keys import PrivateKey, read_key_file
from clearinghouse.settings.agent import AgentSettings, SourceKind, WhenExpired
from clearinghouse.settings.secrets import read_secret
from clearinghouse.storage.folders import Folders
from clearinghouse.storage.holdings import Holdings, Loader


@dataclass(frozen=True, slots=True)
class Check:
    """What was loaded, what kept something from being loaded, and what is allowed but hardly meant."""

    holdings: Holdings
    principal: str
    texts: tuple[str, ...]
    errors: tuple[ClearinghouseError, ...]
    cautions: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing was left out."""
        return not self.errors and not self.holdings.problems


def looked_at(settings: AgentSettings, *, allow_demo: bool = False) -> Check:
    """Return what an agent with *settings* would start with."""
    errors: list[ClearinghouseError] = []
    key: PrivateKey | None = _tried(lambda: read_key_file(settings.key_file, allow_demo=allow_demo), errors)
    _tried(lambda: read_secret(settings.server.secret_file), errors)
    for source in settings.source:
        if source.kind is SourceKind.HTTPS:
            _tried(partial(trusting, source.ca), errors)
    holdings = loaded(settings)
    texts = tuple(written_out(settings))
    return Check(holdings, key.principal if key is not None else "", texts, tuple(errors), tuple(_cautions(settings, holdings)))


def loaded(settings: AgentSettings) -> Holdings:
    """Return what lies in the folders of *settings* now."""
    folders = Folders(settings.policies.directory, settings.credentials.directory)
    return Loader().load(folders.read(folders.look()), Holdings())


def snapshot_of(settings: AgentSettings) -> Snapshot:
    """Return what the site believes about overrides, for a command line without a running agent."""
    return with_policies(loaded(settings).snapshot, policies_of(settings, ()))


def _tried(what: Callable[[], PrivateKey | object], errors: list[ClearinghouseError]) -> PrivateKey | None:
    try:
        found = what()
    except ClearinghouseError as error:
        errors.append(error)
        return None
    return found if isinstance(found, PrivateKey) else None


def _cautions(settings: AgentSettings, holdings: Holdings) -> Iterator[str]:
    if not settings.source:
        yield "there is no [[source]]: no table would ever come, and the server would stay closed"
    if not (settings.admit.minimum or settings.admit.levels or holdings.policies.get(ADMIT)):
        yield "`[admit]` names no level, and there are no policies in the group `admit`: nobody would be admitted"
    if not (settings.override_keys or holdings.policies.get(OVERRIDE)):
        yield "there are no `override_keys`: without the network nobody could be admitted"
    if settings.when_expired is WhenExpired.KEEP:
        yield f"rows count for {settings.grace} after their table has expired: what was withdrawn meanwhile passes as long"
    if not _is_near(settings.server.host):
        yield f"the link of `{settings.server.component}` to {settings.server.host} is not encrypted (XEP-0114): use loopback or a tunnel"
    if settings.domain not in settings.governed:
        yield f"`hosts` leaves out `{settings.domain}` itself: its users' stanzas are not governed"


def _is_near(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in {"localhost", "ip6-localhost"}
