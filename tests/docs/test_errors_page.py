"""The page of errors names every class of error that users import, with its bases and the module it comes from."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Final

import pytest

from actors.models.failure import _KINDS  # pyright: ignore[reportPrivateUsage] - the page lists them
from tests.docs.test_snippets import DOCS
from tests.pins.surface import FOLDER

PAGE: Final = (DOCS / "errors.md").read_text(encoding="utf-8")
_PINNED: Final = re.compile(r"^(\w+)\((.*)\)( of .*)?$", re.MULTILINE)
_ROW: Final = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*) \| (.*)\|$", re.MULTILINE)
_MODULE: Final = re.compile(r"`((?:actors|protocols)(?:\.[a-z_]+)+)`")


def pinned() -> dict[str, tuple[set[str], bool]]:
    """Return the bases of every class of error, and whether its module is promised; see tests/pins."""
    text = (FOLDER / "errors.txt").read_text(encoding="utf-8")
    return {name: (set(bases.split(", ")), bool(home)) for name, bases, home in _PINNED.findall(text)}


def test_the_page_names_every_public_error_once() -> None:
    rows = [name for name, *_ in _ROW.findall(PAGE)]

    assert {name for name, (_, is_public) in pinned().items() if is_public} - set(rows) == set()
    assert sorted(rows) == sorted(set(rows))


@pytest.mark.parametrize(("name", "bases", "when"), [row[:3] for row in _ROW.findall(PAGE)])
def test_a_row_says_the_bases_that_the_class_has(name: str, bases: str, when: str) -> None:
    assert set(re.findall(r"`(\w+)`", bases)) == pinned()[name][0]
    assert when.strip()


def test_the_classes_of_pydantic_ai_are_those_that_are_judged() -> None:
    rows = re.findall(r"^\| (`Model\w+`.*|`Con\w+`|`Un\w+`) \| `(\w+)` \|$", PAGE, re.MULTILINE)

    told = {(theirs, ours) for names, ours in rows for theirs in re.findall(r"`(\w+)`", names)}
    assert told == {(theirs.__name__, ours.__name__) for theirs, ours in _KINDS}


@pytest.mark.parametrize("section", [part for part in PAGE.split("\n## ") if "From `" in part])
def test_a_class_is_in_a_module_that_its_section_names(section: str) -> None:
    modules = [import_module(name) for name in _MODULE.findall(section.partition("\n|")[0])]

    lost = [name for name, *_ in _ROW.findall(section) if not any(hasattr(one, name) for one in modules)]
    assert lost == []
