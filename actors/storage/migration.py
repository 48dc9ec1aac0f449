"""Bringing a database's schema up to date, once, also when several processes open it at the same time."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from actors.storage.schema import HEAD, VERSION_TABLE
from protocols.stores import StoreVersionError

SCRIPTS = Path(__file__).parent / "migrations"


def revision(connection: Connection) -> str | None:
    """Return the revision of the database's schema; None for an empty database."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return found


def upgrade(connection: Connection, location: str) -> None:
    """Run the migrations that are missing, inside the transaction of `connection`, which holds the migration lock.

    Raises:
        StoreVersionError: A newer version wrote the database; nothing was changed.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    found = revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        message = (
            f"has schema {found!r}, this version knows up to {HEAD!r}; upgrade understage, or use another database"
        )
        raise StoreVersionError(message, location=location)
    command.upgrade(config, "head")
