"""The supervision tree of a running pool with the numbers of its nodes, as a table, or as one document."""

import time
from collections.abc import Iterator
from typing import Any, Final

from actors.cli.feed_client import Tables
from actors.cli.output import table
from protocols.plain_text import one_line, visible

HEAD: Final = ("actor", "state", "waiting", "working", "kept", "handled", "failed", "restarts", "answers", "tokens")
LEAST_USEFUL: Final = (
    "working", "answers", "kept", "tokens", "handled", "restarts", "failed", "waiting", "state", "host",
)  # fmt: skip
"""Columns in the order in which a narrow terminal does without them."""


def flat(tables: Tables) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Yield every actor with its id and how deep in the tree it is, parents first; works without recursion."""
    actors = tables["actors"]
    below: dict[str, list[str]] = {}
    for id, actor in actors.items():
        below.setdefault(actor["parent"] if actor["parent"] in actors else "", []).append(id)
    waiting = [(id, 0) for id in reversed(below.get("", ()))]
    while waiting:
        id, depth = waiting.pop()
        yield id, actors[id], depth
        waiting.extend((child, depth + 1) for child in reversed(below.get(id, ())))


def document(tables: Tables) -> dict[str, Any]:
    """Return one moment for programs."""
    pool = tables["pool"]["pool"]
    return {
        "pool": pool["name"], "pid": pool["pid"], "uptime": _uptime(pool), "dropped_events": pool["dropped_events"],
        "actors": [{**row, "id": id, "last_failure": one_line(row["last_failure"])} for id, row, _ in flat(tables)],
        "nodes": [{"name": name, **node} for name, node in tables["nodes"].items()],
    }  # fmt: skip


def view(tables: Tables, width: int | None = None) -> str:
    """Return one moment for people. In a `width` in characters the least useful columns are left out, and names cut."""
    pool = tables["pool"]["pool"]
    head = (HEAD[0], "host", *HEAD[1:]) if "host" in pool else HEAD
    rows = [_cells(actor, depth, tables["nodes"].get(actor["node"], {})) for _, actor, depth in flat(tables)]
    if width is not None:
        names = head.index("state")  # what comes before it
        rows = [(*(_cut(cell, width * 2 // 5) for cell in row[:names]), *row[names:]) for row in rows]
    shown = _fitting(head, rows, width)
    lines = table([head[place] for place in shown], [[row[place] for place in shown] for row in rows])
    text = f"{pool['name']}: {len(rows)} actors, process {pool['pid']}, up {_uptime(pool):.0f} s\n{lines}"
    if pool["dropped_events"]:
        text += f"\n({pool['dropped_events']} events were lost, so some numbers are too small)"
    text = visible(text)
    return text if width is None else "\n".join(_cut(line, width) for line in text.split("\n"))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _uptime(pool: dict[str, Any]) -> float:
    return time.time() - float(pool["started"])


def _cells(actor: dict[str, Any], depth: int, node: dict[str, Any]) -> tuple[str, ...]:
    counts = (actor[name] for name in ("depth", "in_flight", "kept", "handled", "failed", "restarts"))
    tokens = node.get("input_tokens", 0) + node.get("output_tokens", 0)
    numbers = (f"{count:,}" for count in (*counts, node.get("messages", 0), tokens))
    host = (one_line(actor["host"]),) if "host" in actor else ()
    return ("  " * depth + one_line(actor["name"]), *host, actor["state"], *numbers)


def _fitting(head: tuple[str, ...], rows: list[tuple[str, ...]], width: int | None) -> list[int]:
    """Return the places of the columns that fit."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    shown = list(range(len(head)))
    for name in LEAST_USEFUL:
        if width is None or sum(widths[place] + 2 for place in shown) - 2 <= width:
            break
        if name in head:
            shown.remove(head.index(name))
    return shown
