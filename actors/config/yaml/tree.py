"""The raw manifest: plain maps and lists that remember where each of their values was written."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from actors.config.yaml.problem import NOWHERE, Mark


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """Bounds that keep a hostile or broken file from exhausting memory, stack or time."""

    bytes: int = 10_000_000
    """Size of one file."""
    depth: int = 64
    """Maps and lists inside each other, aliases followed."""
    values: int = 500_000
    """Values in one file after every alias is written out: the defence against alias bombs."""
    aliases: int = 10_000
    """Aliases (`*name`) in one file."""
    files: int = 64
    """Files that one manifest may read through `INHERIT`."""


DEFAULT_LIMITS = SourceLimits()
"""What `load_manifest` uses unless told otherwise."""


Key = str | int
"""A step of a key path: the name in a map, or the position in a list."""


class Table(dict[str, object]):
    """A map of the manifest: an ordinary dict, plus a mark for each key and each value."""

    __slots__ = ("key_marks", "mark", "outside", "raw", "value_marks", "written")

    def __init__(self, mark: Mark = NOWHERE) -> None:
        super().__init__()
        self.mark = mark
        """Where the map begins."""
        self.key_marks: dict[str, Mark] = {}
        """Where each key was written."""
        self.value_marks: dict[str, Mark] = {}
        """Where each value was written."""
        self.raw: dict[str, str] = {}
        """Text as written, for values that contained `${NAME}`: what an error shows instead of the variable's value."""
        self.written: dict[str, str] = {}
        """The spelling used in the file, where it is not the key's own name; empty if the file leaves the key out."""
        self.outside: set[str] = set()
        """Keys that were written in the map around this one."""

    def put(self, key: str, value: object, key_mark: Mark, value_mark: Mark) -> None:
        """Set a key together with its marks."""
        self[key] = value
        self.key_marks[key] = key_mark
        self.value_marks[key] = value_mark

    def copy_key(self, key: str, source: "Table", *, as_key: str | None = None) -> None:
        """Take over one key of another map with its marks."""
        name = as_key or key
        self.put(name, source[key], source.key_marks.get(key, source.mark), source.value_marks.get(key, source.mark))
        if key in source.raw:
            self.raw[name] = source.raw[key]
        if key in source.written:
            self.written[name] = source.written[key]

    def rename(self, key: str, name: str) -> None:
        """Give a key its proper name and remember the one that was written; order is not kept."""
        self.copy_key(key, self, as_key=name)
        self.written[name] = key
        del self[key]

    def value_mark(self, key: str) -> Mark:
        """Return where a value was written, or where the map begins."""
        return self.value_marks.get(key, self.mark)

    def key_mark(self, key: str) -> Mark:
        """Return where a key was written, or where the map begins."""
        return self.key_marks.get(key, self.mark)


class Row(list[object]):
    """A list of the manifest: an ordinary list, plus a mark for each entry."""

    __slots__ = ("mark", "marks", "raw")

    def __init__(self, mark: Mark = NOWHERE, values: Iterable[object] = ()) -> None:
        super().__init__(values)
        self.mark = mark
        """Where the list begins."""
        self.marks: list[Mark] = [mark] * len(self)
        """Where each entry was written."""
        self.raw: dict[int, str] = {}
        """As in `Table`."""

    def value_mark(self, index: int) -> Mark:
        """Return where an entry was written."""
        return self.marks[index]

    def add(self, value: object, mark: Mark) -> None:
        """Append an entry with its mark."""
        self.append(value)
        self.marks.append(mark)


def as_table(data: object) -> Table | None:
    """Return a map as a table: a table unchanged, another map as a copy without marks; None for anything else."""
    if isinstance(data, Table) or not isinstance(data, dict):
        return data if isinstance(data, Table) else None
    table = Table()
    table.update(cast("dict[str, object]", data))
    return table


def table_at(tree: object, *keys: str) -> Table:
    """Return the map at a key path; an empty one where there is none."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, Table) else None
    return tree if isinstance(tree, Table) else Table()


def row_at(tree: object, *keys: str) -> Row:
    """Return the list at a key path; an empty one where there is none."""
    *parents, last = keys
    found = table_at(tree, *parents).get(last)
    return found if isinstance(found, Row) else Row()


_KINDS = ("type", "mode")


def merge(base: Table, top: Table) -> Table:
    """Return `base` with `top` laid over it.

    A map is merged key by key, at any depth; every other value of `top`, lists included, replaces the one of `base`.
    Two maps that name a different `type` or `mode` are different things: the one of `top` replaces the other. A key
    without a value (`key:`) in `top` takes the key of `base` away. Each value keeps the mark of the place where it
    was written. Neither argument is changed.
    """
    if any(kind in base and kind in top and base[kind] != top[kind] for kind in _KINDS):
        return top
    result = Table(top.mark)
    for key in base:
        if key not in top:
            result.copy_key(key, base)
    for key, value in top.items():
        result.copy_key(key, top)
        below = base.get(key)
        if isinstance(value, Table) and isinstance(below, Table):
            result[key] = merge(below, value)
    return result
