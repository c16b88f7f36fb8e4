"""The session of a node that writes: opened again when it is lost, and for the main service the only one of its kind."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import psycopg
import structlog
from psycopg.rows import TupleRow

from clearinghouse.errors import StoreUnavailable
from clearinghouse.storage.postgres.address import Address
from clearinghouse.storage.postgres.links import Link

log = structlog.get_logger(__name__)

CHANNEL: Final = "clearinghouse"
"""Of NOTIFY: nothing more is told than that something has changed."""

RETURN_SECONDS: Final = 2.0
"""How long whoever writes waits for a server that was there a moment ago: it takes less to start again."""

PAUSE_SECONDS: Final = 0.1
"""Between two attempts to connect."""

CLAIM_SECONDS: Final = 3.0
"""How long a main service waits for the place of one that has died: PostgreSQL notices within milliseconds, when it is not busy."""

LOCK_SECONDS: Final = 4.0
"""How long a transaction waits for those of other nodes; a hundred of them take less than one second."""

STATEMENT_SECONDS: Final = 4.5
"""How long one statement may take; less than a client waits for a sign of life, so that it hears the reason."""

IDLE_SECONDS: Final = 2.0
"""After which PostgreSQL ends a transaction whose node says nothing: it has stopped or is cut off, and the others wait."""

_FAMILY: Final = 0x636C6872
"""The first half of our advisory locks, ``clhr``: of another program's it has to differ."""

_CLAIM: Final = f"SELECT pg_try_advisory_lock({_FAMILY}, 1)"
_YIELD: Final = "SELECT pg_advisory_unlock_all()"
LAYOUT: Final = f"pg_advisory_xact_lock({_FAMILY}, 3)"
QUEUE: Final = f"SELECT pg_advisory_xact_lock({_FAMILY}, 2)"

_SETTINGS: Final = (
    f"SET lock_timeout = '{LOCK_SECONDS * 1000:.0f}ms'",
    f"SET statement_timeout = '{STATEMENT_SECONDS * 1000:.0f}ms'",
    f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS * 1000:.0f}ms'",
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)
_END: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"
_SELF: Final = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_FIT: Final = "SELECT current_setting('server_encoding') = 'UTF8' AND 'B' < 'a', current_setting('fsync')"
"""Whether text sorts as its bytes do, so that instants and beginnings of ids are found."""


@dataclass(slots=True)
class Session:
    """One connection at a time; ``main`` holds the lock that only one service has."""

    address: Address
    main: bool
    _link: Link | None = field(default=None, repr=False)
    _before: TupleRow | None = None
    _away: bool = True

    @property
    def lost(self) -> bool:
        """Whether there is no connection."""
        return self._link is None

    def link(self) -> Link:
        """Return the connection, which is made if need be: where there was one a moment ago, the server is given time to return."""
        if self._link is None or self._link.closed:
            self._link = None
            self._link = self._returned()
        return self._link

    def rolled_back(self) -> bool:
        """Undo the transaction that has failed; where that cannot be, let go of the connection and return false."""
        link = self._link
        try:
            if link is not None and not link.closed:
                link.execute("ROLLBACK")  # also where there is none: a connection that was lost is found out
                return True
        except psycopg.Error:
            pass
        self._let_go()
        return False

    def close(self) -> None:
        """Let go, and be no main service any more when this returns."""
        if self.main and self._link is not None and not self._link.closed:
            with suppress(psycopg.Error):
                self._link.execute(_YIELD)
        self._let_go()

    def _let_go(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def check(self) -> None:
        """Raise `StoreUnavailable` for a database that cannot hold a store."""
        [(ordered, fsync)] = self.link().execute(_FIT).fetchall()
        if not ordered:
            mend = "make another one: CREATE DATABASE ... TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
            raise StoreUnavailable(f"the database of the store `{self.address.name}` does not sort UTF-8 text by its bytes", mend=mend)
        if fsync != "on":
            mend = "set fsync = on in postgresql.conf: what is recorded may be lost"
            log.warning("store_not_durable", store=self.address.name, mend=mend)

    def _returned(self) -> Link:
        until = time.monotonic() + (0 if self._away else RETURN_SECONDS)
        while True:
            try:
                link = self._opened()
            except psycopg.OperationalError as error:
                self._away = time.monotonic() > until
                if self._away:
                    raise
                del error
                time.sleep(PAUSE_SECONDS)
            else:
                self._away = False
                return link

    def _opened(self) -> Link:
        link = Link.connect(self.address.conninfo(), autocommit=True)
        link.patience = self.address.patience
        try:
            with link.pipeline():
                for text in _SETTINGS:
                    link.execute(text)
                if self._before is not None:  # it may hold our locks, and nobody tells the server that we are gone
                    link.execute(_END, self._before)
                found = link.execute(_SELF)
            self._before = found.fetchone()
            if self.main:
                self._claim(link)
        except BaseException:
            link.close()
            raise
        return link

    def _claim(self, link: Link) -> None:
        """Become the one main service, as soon as the session of one that has just ended is gone."""
        until = time.monotonic() + CLAIM_SECONDS
        while link.execute(_CLAIM).fetchone() != (True,):
            if time.monotonic() > until:
                raise self.address.taken()
            time.sleep(PAUSE_SECONDS)
