"""The type of file triggers: all of one root share a watcher."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from actors.config.trigger import FileTrigger
from actors.config.yaml.file import from_home
from actors.triggers.trigger import Trigger
from actors.triggers.trigger_type import BuildContext, SourceSpec, TriggerType


def _root(spec: FileTrigger, context: BuildContext) -> Path:
    return context.root / from_home(spec.root or ".")


def _build(group: Sequence[tuple[Trigger, FileTrigger]], context: BuildContext) -> SourceSpec:
    from actors.triggers.files.source import FileWatch, FileWatchActor

    root = _root(group[0][1], context)
    watches = tuple(FileWatch(trigger, spec) for trigger, spec in group)
    return SourceSpec(partial(FileWatchActor, wall=context.wall), (root, watches), f"files of {root}")


FILE = TriggerType(FileTrigger, _build, shared_by=_root, libraries=("watchfiles",))
