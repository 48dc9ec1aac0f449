"""The files of triggers: accepted webhooks, and the progress of schedules."""

import hashlib
from pathlib import Path
from typing import TypeVar

from actors.app.store_paths import data_folder
from actors.config.manifest import Manifest
from actors.config.trigger import ScheduleTrigger, WebhookTrigger
from actors.triggers.schedule.progress import ScheduleProgress
from actors.triggers.webhook.replay_journal import ReplayJournal

T = TypeVar("T")


def replay_journal(manifest: Manifest) -> ReplayJournal | None:
    """Return the replay journal of a manifest, not yet open; None without storage or signed webhooks."""
    ports = sorted({one.port for one in _triggers(manifest, WebhookTrigger) if one.secret})
    folder = _folder(manifest)
    if not ports or folder is None:
        return None
    # Manifests that share a folder do not share a file: only one manifest at a time has a port.
    return ReplayJournal(folder / f"webhooks-{_digest(manifest, ports)}.replay")


def schedule_progress(manifest: Manifest) -> ScheduleProgress | None:
    """Return the progress of the schedules of a manifest, not yet open; None without storage or schedules."""
    folder = _folder(manifest)
    if folder is None or not _triggers(manifest, ScheduleTrigger):
        return None
    return ScheduleProgress(folder / f"schedules-{_digest(manifest, '')}.json")


def _folder(manifest: Manifest) -> Path | None:
    """Return the folder of the SQLite file, else the folder of the user; None without lasting storage."""
    stores = [store for store in manifest.storage.providers if store.type != "memory"] if manifest.storage else []
    if not stores:
        return None
    path = next((store.path for store in stores if store.path is not None and "://" not in store.path), None)
    return data_folder() if path is None else (_root(manifest) / Path(path).expanduser()).parent


def _root(manifest: Manifest) -> Path:
    return (manifest.root or Path()).resolve()


def _digest(manifest: Manifest, further: object) -> str:
    return hashlib.blake2b(f"{_root(manifest)}\0{manifest.name}\0{further}".encode(), digest_size=6).hexdigest()


def _triggers(manifest: Manifest, kind: type[T]) -> list[T]:
    nodes = manifest.nodes.values()
    return [one for node in nodes for one in node.triggers if isinstance(one, kind) and one.enabled]
