"""The files of triggers: their lock, accepted webhooks, and the progress of schedules."""

import logging
from pathlib import Path
from typing import Final, TypeVar

from actors.app.store_paths import data_folder, digest_of, root_of
from actors.config.file_lock import FileLock, FileLockedError
from actors.config.manifest import Manifest
from actors.config.trigger import ScheduleTrigger, TriggerSpec, WebhookTrigger
from actors.config.yaml.file import from_home
from actors.triggers.schedule.progress import ScheduleProgress
from actors.triggers.webhook.replay_journal import ReplayJournal
from protocols.triggers import TriggerError

T = TypeVar("T")

_log: Final = logging.getLogger("understage.triggers")


class StateLockedError(TriggerError):
    """Another process, or another pool of this process, runs the triggers of the manifest."""


class StateLock(FileLock):
    """The lock of the triggers of one manifest."""

    def acquire(self) -> None:
        """Lock the file. A file system that cannot lock is a warning.

        Raises:
            StateLockedError: The lock is taken; the text names the owner.
        """
        try:
            super().acquire()
        except FileLockedError as error:
            raise StateLockedError(f"{error} runs the triggers of this manifest; end it first") from error
        except OSError as error:
            _log.warning("%r cannot be locked (%s); a second process would run the triggers too", str(self.path), error)


def replay_journal(manifest: Manifest) -> ReplayJournal | None:
    """Return the replay journal of a manifest, not yet open; None without storage or signed webhooks."""
    folder = _folder(manifest)
    if folder is None or not any(one.secret for one in _triggers(manifest, WebhookTrigger)):
        return None
    return ReplayJournal(folder / f"webhooks-{digest_of(manifest)}.replay")


def schedule_progress(manifest: Manifest) -> ScheduleProgress | None:
    """Return the progress of the schedules of a manifest, not yet open; None without storage or schedules.

    A file of earlier schedules is opened as well, so that it forgets those that are switched off.
    """
    folder = _folder(manifest)
    if folder is None:
        return None
    path = folder / f"schedules-{digest_of(manifest)}.json"
    return ScheduleProgress(path) if _triggers(manifest, ScheduleTrigger) or path.exists() else None


class TriggerFiles:
    """The files of the triggers of one manifest, which one process at a time has open."""

    def __init__(self) -> None:
        self.journal: ReplayJournal | None = None
        """What webhooks have accepted; None while nothing is kept."""
        self.progress: ScheduleProgress | None = None
        """How far schedules have come; None while nothing is kept."""
        self._lock: StateLock | None = None

    def open(self, manifest: Manifest) -> None:
        """Take the lock, then open the files that the triggers need. What is open stays open.

        The processes of a cluster have none: each trigger has a shard, and the journal knows the ids of its events.

        Raises:
            StateLockedError: another process has the lock.
            TriggerError: a file cannot be written.
        """
        folder = _folder(manifest)
        progress = self.progress or schedule_progress(manifest)
        if manifest.is_clustered or folder is None or (progress is None and not _triggers(manifest, TriggerSpec)):
            return
        if self._lock is None:
            lock = StateLock(folder / f"triggers-{digest_of(manifest)}.lock")
            lock.acquire()
            self._lock = lock
        if self.journal is None and (journal := replay_journal(manifest)) is not None:
            journal.open()
            self.journal = journal
        if self.progress is None and progress is not None:
            progress.open()
            self.progress = progress

    def close(self) -> None:
        """Close the files and release the lock."""
        if self.journal is not None:
            self.journal.close()
        if self._lock is not None:
            self._lock.release()
        self.journal = self.progress = self._lock = None


def _folder(manifest: Manifest) -> Path | None:
    """Return the folder of the SQLite file, else the folder of the user; None without lasting storage."""
    stores = [store for store in manifest.storage.providers if store.type != "memory"] if manifest.storage else []
    if not stores:
        return None
    path = next((store.path for store in stores if store.path is not None and "://" not in store.path), None)
    return data_folder() if path is None else (root_of(manifest) / from_home(path)).parent


def _triggers(manifest: Manifest, kind: type[T]) -> list[T]:
    nodes = manifest.nodes.values()
    return [one for node in nodes for one in node.triggers if isinstance(one, kind) and one.enabled]
