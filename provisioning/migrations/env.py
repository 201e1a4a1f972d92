"""Alembic's entry: runs on the connection that `provisioning.migrations` hands over."""

from __future__ import annotations

from alembic import context

from provisioning.migrations.metadata import ALL_TABLES

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=ALL_TABLES,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    version_table="firstlight_schema",
)
with context.begin_transaction():
    context.run_migrations()
