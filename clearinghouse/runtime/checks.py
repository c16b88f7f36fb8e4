"""What the service would start with: everything is read and judged, and nothing connects."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from clearinghouse.errors import ClearinghouseError
from clearinghouse.runtime.chance import utc_now
from clearinghouse.runtime.federation.ceremony import Ceremony
from clearinghouse.runtime.policy import folders_of, loader_for
from clearinghouse.runtime.redirection import files
from clearinghouse.runtime.redirection.furnishing import check_members
from clearinghouse.settings import Broker, Federation, Settings, read_secret
from clearinghouse.signer.client import signing
from clearinghouse.storage.database import check_ours
from clearinghouse.storage.holdings import Holdings
from clearinghouse.storage.named import address_in


@dataclass(frozen=True, slots=True)
class Check:
    """What was loaded, what is wrong, and what may not be meant."""

    holdings: Holdings
    errors: tuple[ClearinghouseError, ...]
    cautions: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing was refused; cautions are no refusals."""
        return not self.errors and not self.holdings.problems


def looked_at(settings: Settings) -> Check:
    """Load what *settings* name, and start what signs, as the service would; not to be called from an event loop."""
    folders = folders_of(settings)
    desk, signing_fault = _desk_principal(settings)
    holdings = loader_for(settings, desk).load(folders.read(folders.look()), Holdings())
    errors = (*_errors(settings), *((signing_fault,) if signing_fault else ()))
    return Check(holdings, errors, tuple(_cautions(settings, holdings)))


def _desk_principal(settings: Settings) -> tuple[str, ClearinghouseError | None]:
    """Return the principal that signs approvals, empty for none, and what is wrong with the keys or the signers."""

    async def started() -> str:
        async with signing(settings) as signers:
            return signers.desk.principal if signers.desk else ""

    try:
        return asyncio.run(started()), None
    except ClearinghouseError as error:
        return settings.desk.principal or "", error


def _errors(settings: Settings) -> Iterator[ClearinghouseError]:
    for path in dict.fromkeys(each.secret_file for each in settings.broker):
        try:
            read_secret(path)
        except ClearinghouseError as error:
            yield error
    try:
        if settings.store.url_file is not None:
            address_in(settings.store.url_file)
        elif settings.store.path.exists():
            check_ours(settings.store.path)
    except ClearinghouseError as error:
        yield error

    try:
        check_members(settings)
    except ClearinghouseError as error:
        yield error
    if settings.redirect is not None:
        yield from files.problems(settings.redirect, utc_now())


def _cautions(settings: Settings, holdings: Holdings) -> Iterator[str]:
    yield from _about_the_house(settings, holdings)
    yield from _about_people(settings, holdings)
    yield from _about_brokers(settings)
    if settings.redirect is not None:
        yield from files.cautions(settings.redirect, utc_now())
    if settings.federation is not None:
        yield from _about_the_federation(settings, settings.federation, holdings)


def _about_the_federation(settings: Settings, federation: Federation, holdings: Holdings) -> Iterator[str]:
    found = Ceremony(federation.root_directory, settings.community).found(utc_now())
    if not found.roots:
        yield f"there is no root metadata in `{federation.root_directory}`: nothing would be published"
    elif found.root.epoch != federation.epoch:
        yield f"the newest root is of epoch {found.root.epoch}, and [federation] of epoch {federation.epoch}: nothing would be published"
    if not settings.revoker.there and found.revocations is None:
        yield "there is no [revoker] and no revocation set in the root directory: nothing would be published"
    if not holdings.policies.get("federate"):
        yield "there are no policies in the group `federate`: every domain would have the lowest level"
    if settings.timestamp_signer.key_file is not None:
        yield "the key in [timestamp_signer] is on this machine: a thief of it and of the tables' key could publish"
    if settings.http is None and federation.broker is None and federation.export_directory is None:
        yield "there is no [http], no `broker` and no `export_directory`: agents have tables over XMPP alone, and are not told of new ones"


def _about_people(settings: Settings, holdings: Holdings) -> Iterator[str]:
    if not settings.desk.there:
        yield "there is no key in `[desk]`: what policy leaves to people (`ask`) waits, since no approval can be signed"
    elif not settings.person:
        yield "there is no [[person]]: a JID and a key of one person would count as two, and nobody is told what waits"
    if settings.desk.there and not holdings.policies.get("people"):
        yield "there are no policies in the group `people`: nobody may approve, revoke or explain"
    if not settings.ledger.there:
        yield "there is no key in `[ledger]`: the decision log is kept, and nobody can prove what it said"
    if settings.control.socket is None:
        yield "`[control]` names no socket: the command line cannot speak to the service"


def _about_the_house(settings: Settings, holdings: Holdings) -> Iterator[str]:
    if not settings.broker and settings.federation is None:
        yield "there is no [[broker]]: the service would connect nowhere"
    if not holdings.policies.get("topics") and (settings.broker or settings.federation is None):
        yield "there are no policies in the group `topics`: every subscription would be refused"
    if settings.store.url_file is None and not os.access(settings.store.path.parent, os.W_OK):
        yield f"the store's directory `{settings.store.path.parent}` is absent or cannot be written"


def _about_brokers(settings: Settings) -> Iterator[str]:
    for each in settings.broker:
        if not _is_near(each):
            yield f"the link of `{each.component}` to {each.host} is not encrypted (XEP-0114): use loopback or a tunnel"
        if all(topic.broker != each.jid for topic in settings.topic):
            yield f"`{each.jid}` has no [[topic]]"
    for topic in settings.topic:
        if not topic.publishers:
            yield f"nobody may publish to `{topic.node}`: it has no publishers"


def _is_near(broker: Broker) -> bool:
    try:
        return ip_address(broker.host).is_loopback
    except ValueError:
        return broker.host in {"localhost", "ip6-localhost"}
