"""Run by Alembic: migrates over the connection that `actors.storage.migration` hands in, inside its transaction."""

from alembic import context

from actors.storage.schema import VERSION_TABLE, metadata


def run() -> None:
    """Run the migrations."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # the name under which Alembic runs it; a plain import must change nothing
    run()
