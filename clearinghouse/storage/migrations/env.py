"""Run by Alembic: applies the changes on the connection that the store hands over, all or none."""

from __future__ import annotations

from alembic import context

from clearinghouse.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
