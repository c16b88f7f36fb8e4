"""The layout of the database: which one is today's, and how an older one is brought there."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, inspect, text

from clearinghouse.errors import StoreUnavailable
from clearinghouse.storage.site import Site

TODAY: Final = "0003"
"""The revision that this code reads and writes: the newest one in `migrations`."""

_VERSION: Final = text("SELECT version_num FROM alembic_version")


def migrate(connection: Connection, site: Site) -> None:
    """Bring the database to today's layout; raises `StoreUnavailable` for one that is newer than we are."""
    # Half a second of imports, of which those that only read a store need none.
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        command.upgrade(alembic_config(connection), TODAY)
    except CommandError as error:
        mend = "run the version of the clearinghouse that wrote it, or a later one"
        raise StoreUnavailable(f"the layout of the store `{site.name}` is unknown ({error})", mend=mend) from None


def check_layout(connection: Connection, site: Site) -> None:
    """Raise unless the database has today's layout."""
    found = connection.execute(_VERSION).scalar() if inspect(connection).has_table("alembic_version") else None
    if found != TODAY:
        raise StoreUnavailable(
            f"the layout of the store `{site.name}` is not today's", mend="start the service once: it brings it up to date"
        )


def alembic_config(connection: Connection) -> Any:  # noqa: ANN401 - Alembic's own type, which is imported where it is needed
    """Return what Alembic needs to change the layout on *connection*: an ``alembic.config.Config``."""
    from alembic.config import Config  # noqa: PLC0415 - as above

    attributes: dict[str, Any] = {"connection": connection}
    config = Config(attributes=attributes)
    config.set_main_option("script_location", "clearinghouse.storage:migrations")
    config.set_main_option("path_separator", "os")
    return config
