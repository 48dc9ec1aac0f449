"""The stores of a manifest, and their retention."""

import hashlib
import os
from pathlib import Path

from actors.config.manifest import Manifest
from actors.config.storage import StorageSpec, StoreSpec
from actors.config.yaml.file import from_home
from actors.storage.location import open_store
from actors.storage.memory import MemoryHistoryStore
from protocols.history import Retention
from protocols.stores import HistoryStore


def history_stores(manifest: Manifest, *, read_only: bool = False) -> tuple[HistoryStore, ...]:
    """Return the stores of a manifest, not yet open; empty if the manifest stores nothing.

    Raises:
        StorageExtraError: a library is missing.
        StorageError: the kind of store is unknown.
    """
    spec = manifest.storage
    if spec is None or not spec.log_messages:
        return ()
    return tuple(_store(one, manifest.root or Path(), read_only=read_only) for one in spec.providers)


def retention_of(spec: StorageSpec) -> Retention | None:
    """Return the retention of each store; None without limits."""
    limits = spec.retention.model_dump(exclude_none=True)
    return Retention(**limits) if limits else None


def _store(spec: StoreSpec, root: Path, *, read_only: bool) -> HistoryStore:
    if spec.type == "memory":
        return MemoryHistoryStore() if spec.capacity is None else MemoryHistoryStore(capacity=spec.capacity)
    if spec.url is not None:
        return open_store(spec.url.get_secret_value(), root=root, read_only=read_only)
    if spec.path is not None:
        return open_store(spec.path if "://" not in spec.path else root / spec.path, root=root, read_only=read_only)
    return open_store(data_folder() / "history.db", read_only=read_only)


def data_folder() -> Path:
    """Return the folder of files that belong to the user instead of a manifest."""
    given = os.environ.get("XDG_DATA_HOME")
    return (Path(given) if given else from_home("~/.local/share")) / "understage"


def root_of(manifest: Manifest) -> Path:
    """Return the folder to which the paths of a manifest are relative, links followed."""
    return (manifest.root or Path()).resolve()


def digest_of(manifest: Manifest) -> str:
    """Return what tells the files of manifests in one folder apart."""
    # A link to the file is not followed: it leads elsewhere when its ConfigMap or release changes.
    place = manifest.files[0].parent.resolve() / manifest.files[0].name if manifest.files else root_of(manifest)
    return hashlib.blake2b(f"{place}\0{manifest.name}".encode(), digest_size=6).hexdigest()
