"""The store that the settings name, of whatever kind: a driver is imported where it is used."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from clearinghouse.errors import MissingPackage
from clearinghouse.ledger.entry import Mask
from clearinghouse.settings import Store as Named
from clearinghouse.storage.sql_store import SqlStore, open_store, read_store

if TYPE_CHECKING:
    from clearinghouse.storage.postgres.address import Address


def open_named(
    store: Named, *, main: bool = True, mask: Mask | None = None, lost: Callable[[int], None] = lambda _: None
) -> AbstractAsyncContextManager[SqlStore]:
    """Open the store for writing; see `clearinghouse.storage.sql_store.open_store`.

    One that is not the *main* one is a node beside a service that is, which only PostgreSQL can have.
    """
    if store.url_file is None:
        if not main:
            raise ValueError("a file has one writer")
        return open_store(store.path, mask=mask, lost=lost)
    address = address_in(store.url_file)
    from clearinghouse.storage.postgres.opening import open_postgres  # noqa: PLC0415 - the driver is a group of its own

    return open_postgres(address, main=main, mask=mask, lost=lost)


def read_named(store: Named) -> AbstractAsyncContextManager[SqlStore]:
    """Open the store to look at it; see `clearinghouse.storage.sql_store.read_store`."""
    if store.url_file is None:
        return read_store(store.path)
    address = address_in(store.url_file)
    from clearinghouse.storage.postgres.opening import read_postgres  # noqa: PLC0415 - as above

    return read_postgres(address)


def address_in(url_file: Path) -> Address:
    """Return the PostgreSQL database whose URL stands in *url_file*; raises `MissingPackage`, `BadSettings`, `UnsafeFile`."""
    if find_spec("psycopg") is None:
        mend = "install the clearinghouse with it: pip install 'clearinghouse[postgres]'"
        raise MissingPackage("`[store]` names a PostgreSQL database, and its driver `psycopg` is not installed", mend=mend)
    from clearinghouse.storage.postgres.address import Address  # noqa: PLC0415 - as above

    return Address.read(url_file)
