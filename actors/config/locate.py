"""From an error's position in the data to the keys, the line and the value that a person wrote."""

from collections.abc import Sequence
from typing import NamedTuple

from actors.config.mark import Mark
from actors.config.problem import render_path, render_value
from actors.config.tree import Key, Row, Table


class Place(NamedTuple):
    """Where something is in a manifest."""

    path: str
    """Keys that lead there, spelled as in the file."""
    mark: Mark
    """File and line."""
    value: str | None
    """What is written there, in short; None when nothing is."""
    hidden: tuple[str, str] | None = None
    """Value and written text, where the text names environment variables: only the latter may be shown."""


def locate(tree: Table, keys: Sequence[Key]) -> Place:
    """Follow a key path through the raw manifest.

    Steps that are no keys of the data are passed over: pydantic also names the kind it chose in a union. A last step
    that is missing stands for a key that should have been written.
    """
    current: object = tree
    path: list[Key] = []
    mark, shown, hidden = tree.mark, None, None
    tagged = False
    for number, key in enumerate(keys):
        if isinstance(current, Table) and isinstance(key, str):
            if key == current.get("type") and not tagged and number + 1 < len(keys):
                tagged = True
                continue
            if key in current:
                path.append(current.written.get(key, key))
                mark, shown = current.value_mark(key), _shown(current.raw.get(key, current[key]), key)
                hidden = _hidden(current[key], current.raw.get(key))
                current, tagged = current[key], False
            elif number + 1 == len(keys) and not key.startswith("<"):
                path.append(key)
                mark, shown, hidden = current.mark, None, None
        elif isinstance(current, Row) and isinstance(key, int) and 0 <= key < len(current):
            path.append(key)
            name = next((step for step in reversed(path) if isinstance(step, str)), "")
            mark, shown = current.marks[key], _shown(current.raw.get(key, current[key]), name)
            hidden = _hidden(current[key], current.raw.get(key))
            current, tagged = current[key], False
    return Place(render_path(path), mark, shown, hidden)


def _hidden(value: object, raw: str | None) -> tuple[str, str] | None:
    return None if raw is None or not value else (str(value), raw)


def _shown(value: object, key: Key) -> str:
    return render_value(value, key)


def path_of(tree: Table, wanted: Table) -> tuple[Key, ...]:
    """Return the keys that lead to a map of the tree; the first ones where there are several, none for a stranger."""
    pending: list[tuple[object, tuple[Key, ...]]] = [(tree, ())]
    seen: set[int] = set()
    while pending:
        current, path = pending.pop()
        if current is wanted:
            return path
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, Table):
            pending += [(value, (*path, key)) for key, value in reversed(current.items())]
        elif isinstance(current, Row):
            pending += [(value, (*path, index)) for index, value in enumerate(current)]
    return ()
