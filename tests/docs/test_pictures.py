"""Pictures are drawn of what the pages say, show what the demo does, and load nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as Xml

import pytest

from tests.docs.pictures import DOCS, IMAGES, texts
from tests.docs.site_pages import FENCE
from tests.docs.terminal import PICTURE, record, text_of

if TYPE_CHECKING:
    from pathlib import Path

README: Final = DOCS.parent / "README.md"
PAGES: Final = [README, *sorted(DOCS.rglob("*.md"))]
_SVG: Final = "{http://www.w3.org/2000/svg}"
_ACTIVE: Final = re.compile(
    r"<script|<foreignObject|\son\w+=|(?:href|src)=\"(?!#)|url\((?!['\"]?#)|@import", re.IGNORECASE
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_block_of_a_page_ends(page: Path) -> None:
    fences = [line for line in page.read_text(encoding="utf-8").splitlines() if line.lstrip().startswith("```")]

    assert all(line.strip() == "```" for line in fences[1::2])
    assert len(fences) % 2 == 0


def test_the_files_are_those_of_the_texts() -> None:
    hint = "run: python -m tests.docs.pictures"
    assert {file.name for file in IMAGES.glob("picture-*.svg")} == texts().keys(), hint


def test_the_pictures_of_the_readme_are_on_the_site_as_well() -> None:
    assert set(FENCE.findall(README.read_text(encoding="utf-8"))) <= set(texts().values())


@pytest.mark.parametrize("text", texts().values(), ids=texts())
def test_a_picture_says_what_it_shows(text: str) -> None:
    assert re.search(r"^ +accTitle: \S", text, re.MULTILINE)
    assert re.search(r"^ +accDescr: \S", text, re.MULTILINE)


@pytest.mark.parametrize("file", sorted(IMAGES.glob("*.svg")), ids=lambda file: file.name)
def test_a_drawn_picture_is_small_has_a_title_and_loads_nothing(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert (Xml.fromstring(text).findtext(f"{_SVG}title") or "").strip() != ""
    assert _ACTIVE.findall(text) == []
    assert len(text) < 60_000


def test_the_pictures_that_the_readme_shows_are_there() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README.read_text(encoding="utf-8"))

    assert shown != []
    assert [path for path in shown if not (README.parent / path).is_file()] == []


def test_the_recorded_run_is_what_the_demo_shows() -> None:
    told = (Xml.fromstring(PICTURE.read_text(encoding="utf-8")).findtext(f"{_SVG}desc") or "").splitlines()
    restarting, last = ([without_times(text_of(line)) for line in screen] for screen in record())
    first, end = told[3 : told.index("…") - 1], told[told.index("…") + 2 :]

    assert [without_times(line) for line in end] == last, "run: python -m tests.docs.terminal"
    assert names(first) == names(restarting)


def without_times(line: str) -> str:
    return re.sub(r" *\d+\.\d\d s", " 0 s", line)


def names(screen: list[str]) -> list[str]:
    """Return the names in the table of a screen."""
    return [line.split()[1] for line in screen[-5:]]
