"""From an error's position in the data to the keys, the line and the value that a person wrote."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from actors.config.yaml.problem import Mark, render_path, render_value
from actors.config.yaml.tree import Key, Row, Table


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


@dataclass(frozen=True, slots=True)
class Source:
    """What a manifest was read from. It says where, not what, so manifests with different sources may be equal."""

    tree: Table = field(default_factory=Table, compare=False, repr=False)
    imports: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    """Its import strings."""

    def named(self, *keys: str) -> Iterator[tuple[tuple[Key, ...], str]]:
        """Yield the place of each import string at a key path or below it, and the string."""
        tree: object = self.tree
        for key in keys:
            tree = tree.get(key) if isinstance(tree, Table) else None
        pending: list[tuple[tuple[Key, ...], object]] = [(keys, tree)]
        while pending:
            path, value = pending.pop()
            if isinstance(value, Table):
                pending += [((*path, key), inner) for key, inner in reversed(value.items())]
            elif isinstance(value, Row):
                pending += [((*path, index), inner) for index, inner in reversed([*enumerate(value)])]
            elif isinstance(value, str) and value in self.imports:
                yield path, value


def locate(tree: Table, keys: Sequence[Key]) -> Place:
    """Follow a key path through the raw manifest.

    Steps that are no keys of the data are passed over: pydantic also names the kind it chose in a union. A last step
    that is missing stands for a key that should have been written.
    """
    walk = _Walk(tree)
    for number, key in enumerate(keys):
        walk.step(key, is_last=number + 1 == len(keys))
    return Place(render_path(walk.path), walk.mark, walk.shown, walk.hidden)


def paths_of(tree: Table) -> dict[int, tuple[Key, ...]]:
    """Return the keys that lead to each map, by the map's id; the first ones where there are several."""
    pending: list[tuple[object, tuple[Key, ...]]] = [(tree, ())]
    paths: dict[int, tuple[Key, ...]] = {}
    while pending:
        current, path = pending.pop()
        if id(current) in paths:
            continue
        if isinstance(current, Table):
            pending += [(value, (*path, key)) for key, value in reversed(current.items())]
        elif isinstance(current, Row):
            pending += [(value, (*path, index)) for index, value in enumerate(current)]
        else:
            continue
        paths[id(current)] = path
    return paths


class _Walk:
    def __init__(self, tree: Table) -> None:
        self.path: list[Key] = []
        self.mark = tree.mark
        self.shown: str | None = None
        self.hidden: tuple[str, str] | None = None
        self._current: object = tree
        self._is_tagged = self._is_implied = False
        self._name = ""

    def step(self, key: Key, *, is_last: bool) -> None:
        current = self._current
        if isinstance(current, Table) and isinstance(key, str):
            if not is_last and not self._is_tagged and key == current.get("type"):
                self._is_tagged = True  # the kind that pydantic chose; a key of the same name may follow
            elif key in current:
                self._name, written = key, current.written.get(key, key)
                self._append(written, is_outside=key in current.outside)
                self._enter(current.value_mark(key), current[key], current.raw.get(key))
                self._is_implied = not written
            elif is_last and not key.startswith("<"):
                self._append(key)
                self.mark, self.shown, self.hidden = current.mark, None, None
        elif isinstance(current, Row) and isinstance(key, int) and 0 <= key < len(current):
            self._append("" if self._is_implied else key)
            self._enter(current.marks[key], current[key], current.raw.get(key))

    def _append(self, key: Key, *, is_outside: bool = False) -> None:
        if is_outside and self.path:
            self.path.pop()
        if key != "":
            self.path.append(key)

    def _enter(self, mark: Mark, value: object, raw: str | None) -> None:
        self.mark, self._is_implied = mark, False
        self.shown = render_value(value if raw is None else raw, self._name)
        self.hidden = None if raw is None or not value else (str(value), raw)
        self._current, self._is_tagged = value, False
