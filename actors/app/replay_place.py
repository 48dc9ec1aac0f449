"""Where it is kept what the webhooks of a manifest have accepted."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from actors.app.history_place import data_folder
from actors.config.trigger import WebhookTrigger
from actors.triggers.replay_journal import ReplayJournal

if TYPE_CHECKING:
    from actors.config.manifest import Manifest


def replay_journal(manifest: Manifest) -> ReplayJournal | None:
    """Return the journal of a manifest, not yet open; None if it keeps nothing or has no signed webhook."""
    ports = sorted({one.port for one in _webhooks(manifest) if one.enabled and one.secret})
    stores = [store for store in manifest.storage.providers if store.type != "memory"] if manifest.storage else []
    if not ports or not stores:
        return None
    root = (manifest.root or Path()).resolve()
    path = next((store.path for store in stores if store.path is not None and "://" not in store.path), None)
    folder = data_folder() if path is None else (root / Path(path).expanduser()).parent
    # Manifests that share a folder do not share a file: a port belongs to one of them at a time.
    name = hashlib.blake2b(f"{root}\0{manifest.name}\0{ports}".encode(), digest_size=6).hexdigest()
    return ReplayJournal(folder / f"webhooks-{name}.replay")


def _webhooks(manifest: Manifest) -> list[WebhookTrigger]:
    nodes = manifest.nodes.values()
    return [trigger for node in nodes for trigger in node.triggers if isinstance(trigger, WebhookTrigger)]
