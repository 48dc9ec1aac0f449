"""The page's own files stay small and take nothing from elsewhere; every library has its licence and its origin."""

from __future__ import annotations

import re

from tests.dashboard_page.fake_feed import STATIC

VENDOR = STATIC / "vendor"
OWN = [file for file in STATIC.rglob("*") if file.suffix in {".js", ".css"} and VENDOR not in file.parents]
LINES = 1_500
WIDTH = 120


def test_the_pages_own_code_is_small() -> None:
    lines = {file.name: file.read_text("utf-8").splitlines() for file in OWN}
    assert sum(len(each) for each in lines.values()) <= LINES
    assert [name for name, each in lines.items() if len(each) > 400] == []
    assert [(name, line) for name, each in lines.items() for line in each if len(line) > WIDTH] == []


def test_nothing_comes_from_elsewhere_and_no_text_becomes_markup() -> None:
    offence = re.compile(r"\w+://|innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|set?Attribute")
    found = [(file.name, match) for file in OWN for match in offence.findall(file.read_text("utf-8"))]
    assert found == []


def test_the_document_has_no_script_and_no_style_of_its_own() -> None:
    document = (STATIC / "index.html").read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=\"\./)", document)


def test_every_library_has_a_licence_and_says_where_it_is_from() -> None:
    readme = (VENDOR / "README.md").read_text("utf-8")
    for file in [*VENDOR.glob("*.js"), *VENDOR.glob("*.css")]:
        assert f"| {file.name} |" in readme
        assert (VENDOR / f"{file.stem.partition('-')[0]}.LICENSE").is_file()
        assert "sourceMappingURL" not in file.read_text("utf-8")
