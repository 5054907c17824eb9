"""Run by Alembic: migrate on the connection that the caller opened."""

from alembic import context

from hashyard_cloud.storage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
