"""The journal of a manifest: where it is, and what keeps it."""

import re
from pathlib import Path

from actors.app.store_paths import data_folder, digest_of, root_of
from actors.config.cluster import ClusterSpec
from actors.config.manifest import Manifest
from actors.config.yaml.file import from_home
from actors.storage.location import POSTGRES_MODULES, missing_modules
from protocols.journal import JournalError, MailboxJournal

_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST = 60
"""Characters of a pool's name in the name of its file."""


def open_journal(manifest: Manifest, *, as_guest: bool = False, takes_over: bool = True) -> MailboxJournal | None:
    """Return the journal of a manifest, not yet open; None if its nodes keep nothing.

    Args:
        manifest: the manifest.
        as_guest: True to use the journal while a pool has it.
        takes_over: False to be refused while a pool has it, also where a second process could take it or share it.

    Raises:
        JournalError: what the manifest names cannot keep it.
    """
    spec, path, pool = manifest.effective_journal, journal_file(manifest), manifest.name or "pool"
    if spec is None:
        return None
    is_shared = as_guest or takes_over
    if spec.url is not None and manifest.is_clustered and manifest.cluster is not None and is_shared:
        return _of_cluster(spec.url.get_secret_value(), pool, manifest.cluster, as_guest=as_guest)
    if spec.url is not None:
        return _on_server(spec.url.get_secret_value(), pool, as_guest=as_guest, takes_over=takes_over)
    assert path is not None
    from actors.storage.journal_sqlite import SqliteJournal

    return SqliteJournal(
        path, pool=pool, sync=spec.sync, reserve=spec.reserve, max_size=spec.max_size, as_guest=as_guest
    )


def _of_cluster(url: str, pool: str, spec: ClusterSpec, *, as_guest: bool) -> MailboxJournal:
    _check_extra()
    from actors.storage.cluster_postgres import PostgresClusterStore

    return PostgresClusterStore(url, pool=pool, shards=spec.shards, ttl=spec.ttl, as_guest=as_guest)


def _check_extra() -> None:
    if missing := missing_modules(POSTGRES_MODULES):
        text = f"a journal in PostgreSQL needs {', '.join(missing)}, which is not installed; install the extra:"
        raise JournalError(f"{text} pip install 'understage[postgres]'")


def _on_server(url: str, pool: str, *, as_guest: bool, takes_over: bool) -> MailboxJournal:
    _check_extra()
    from actors.storage.journal_postgres import PostgresJournal

    return PostgresJournal(url, pool=pool, as_guest=as_guest, takes_over=takes_over)


def journal_file(manifest: Manifest) -> Path | None:
    """Return the file of the journal of a manifest; None for a database server, or without journal."""
    spec = manifest.effective_journal
    if spec is None or spec.url is not None:
        return None
    if spec.path is not None:
        return root_of(manifest) / from_home(spec.path)
    pool = _UNSAFE.sub("_", manifest.name or "pool")[:_LONGEST]
    return data_folder() / f"{pool}-{digest_of(manifest)}.journal"
