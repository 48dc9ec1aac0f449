"""Alembic environment: how the schema of history changes from version to version."""
