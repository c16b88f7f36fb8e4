"""The clearinghouse's own door for servers: where it listens as the settings say, and how much it bears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from clearinghouse.doors.s2s.door import Bears, Door, opened
from clearinghouse.doors.s2s.tls import Certificates, Pair
from clearinghouse.doors.s2s.trust import Trust
from clearinghouse.federation.redirection.answers import Porter
from clearinghouse.settings.redirect import Redirect

log = structlog.get_logger(__name__)


@asynccontextmanager
async def s2s_door(settings: Redirect | None, porter: Porter | None) -> AsyncIterator[Door | None]:
    """Redirect servers until the context ends; without either there is no door.  Raises `BadSettings` and `UnsafeFile`."""
    if settings is None or porter is None:
        yield None
        return
    own = Pair(settings.certificate_file, settings.key_file)
    fronted = {each.domain: Pair(each.certificate_file, each.key_file) for each in settings.fronted}
    certificates = Certificates(own, fronted)
    trust = Trust(settings.anchors_file, settings.revocations_file)
    bears = Bears(settings.connections, settings.connections_each, settings.address_per_second, settings.address_burst)
    where = settings.listening, settings.listening_tls
    async with opened(porter, certificates, trust, name=settings.name, listen=where[0], listen_tls=where[1], bears=bears) as door:
        log.info("s2s_open", listen=door.listen, listen_tls=door.listen_tls, require=str(porter.require), fronted=len(fronted))
        yield door
