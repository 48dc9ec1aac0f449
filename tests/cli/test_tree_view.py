"""The picture that `understage top` shows: a tree of any depth, safe names, columns that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.cli.tree_view import HEAD, flat, view
from protocols.plain_text import visible

if TYPE_CHECKING:
    from actors.cli.feed_client import Tables


def tables_of(*names: str, **fields: object) -> Tables:
    """A pool of actors, each below the one before it."""
    zeros = dict.fromkeys(("depth", "in_flight", "kept", "handled", "failed", "restarts"), 0)
    actors = {
        str(at): {**zeros, "parent": str(at - 1) if at else "", "name": name, "state": "running", "node": name}
        for at, name in enumerate(names)
    }
    pool = {"name": "crew", "pid": 1, "started": 0.0, "dropped_events": 0, **fields}
    return {"pool": {"pool": pool}, "actors": actors, "nodes": {}}


def test_a_deep_tree_is_drawn_without_recursion() -> None:
    tables = tables_of(*(f"a{number}" for number in range(5_001)))

    assert [depth for _, _, depth in flat(tables)] == list(range(5_001))


def test_an_actor_whose_supervisor_is_not_known_yet_is_shown() -> None:
    tables = tables_of("pool", "writer")
    del tables["actors"]["0"]

    assert [(actor["name"], depth) for _, actor, depth in flat(tables)] == [("writer", 0)]


def test_names_cannot_write_over_the_picture() -> None:
    text = view(tables_of("evil\n\x1b[31mname\u202e", name="crew\x1b[2J", dropped_events=3))

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "evil [31mname" in text
    assert text.splitlines()[-1] == "(3 events were lost, so some numbers are too small)"


@pytest.mark.parametrize("long", [1, 100])
@pytest.mark.parametrize("host", [{}, {"host": "web-7.example.org:4711"}])
@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, None])
def test_a_narrow_terminal_does_without_the_least_useful_columns(
    width: int | None, host: dict[str, str], long: int
) -> None:
    tables = tables_of("crew", "writer" * long, "critic", name="crew" * long, dropped_events=3, **host)
    for actor in tables["actors"].values():
        actor.update(host, state="restarting", depth=1_000)
    lines = view(tables, width).splitlines()
    names = lines[1].split()

    assert max(map(len, lines)) <= (width or 1_000)
    assert [name for name in names if name != "host"] == [name for name in HEAD if name in names], "the order stays"
    assert [line.split()[0][:3] for line in lines[2:5]] == ["cre", "wri", "cri"]
    if width is None or width >= 60:
        assert {"actor", "state", *host} <= set(names)
    if width == 60 and not host:
        assert {"waiting", "failed"} <= set(names)
    if width is None or (width == 100 and long == 1 and not host):
        assert len(names) == len(HEAD) + len(host)


@pytest.mark.parametrize(
    ("text", "seen"),
    [("plain\ttext\nü 🙂", "plain\ttext\nü 🙂"), ("\x1b]0;title\x07", "]0;title"), ("a\rb", "ab"), ("\x9b31m", "31m")],
)
def test_a_terminal_shows_text_and_obeys_none(text: str, seen: str) -> None:
    assert visible(text) == seen
