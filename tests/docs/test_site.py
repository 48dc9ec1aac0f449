"""The site builds strictly, its reference shows the public names and nothing else, and its search finds them."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import zlib
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import pytest

import actors
from tests.cli.conftest import environment
from tests.dashboard_page.conftest import chromium
from tests.docs.site_pages import MODULES, OPTIONS, options_of
from tests.docs.test_snippets import DOCS
from tests.pins.surface import MADE_FOR_USERS

if TYPE_CHECKING:
    from playwright.async_api import Route

__all__ = ["chromium"]

ROOT: Final = DOCS.parent
MOST_BYTES: Final = 150_000
NAMES: Final[list[str]] = sorted(actors.__all__)
_TOLD_ELSEWHERE: Final = {
    "ExtendedTeamTalk": {"talks", "name", "capacity"},  # another name of RunStats
    "Reject": {"text"},
}
_IMPORT: Final = re.compile(r"^ *from ((?:actors|protocols)[\w.]*) import (.+)$", re.MULTILINE)
_HEADING: Final = re.compile(r'<h(\d) id="([^"]*)" class="doc doc-heading">(.*?)</h\1>', re.DOTALL)
_TAG: Final = re.compile(r"<[^>]*>")
_SEARCH: Final = """async queries => {
  const index = await (await fetch("/search/search_index.json")).json();
  const settings = JSON.parse(document.querySelector("#__config").textContent);
  const worker = new Worker(new URL(settings.search, location.href));
  const told = (type, data) => new Promise(resolve => {
    worker.onmessage = event => resolve(event.data.data);
    worker.postMessage({ type, data });
  });
  await told(0, { ...index, options: { suggest: false } });
  const found = [];
  for (const query of queries) found.push((await told(2, query)).items.slice(0, 5).map(hits => hits[0].location));
  return found;
}"""
"""What a page does when a reader searches: it asks the site's own worker."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=environment(PYTHONPATH=str(ROOT), NO_MKDOCS_2_WARNING="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, str]:
    """The pages of the site by their place in it."""
    return {str(file.relative_to(site)): file.read_text(encoding="utf-8") for file in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="module")
def inventory(site: Path) -> dict[str, tuple[str, str]]:
    """Every name that the reference explains, with its kind and its place."""
    text = zlib.decompress((site / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    lines = [line.split(" ", 4) for line in text.splitlines()]
    return {name: (kind, place.replace("$", name)) for name, kind, _, place, _ in lines}


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_a_page_that_begins_with_it(name: str, pages: dict[str, str]) -> None:
    level, anchor, text = _HEADING.findall(pages[f"reference/{name}/index.html"])[0]

    assert (level, anchor) == ("1", f"actors.{name}")
    assert _words(text).startswith(name)


async def test_the_search_finds_every_public_name(site: Path, chromium: str) -> None:
    from playwright.async_api import async_playwright

    async def serve(route: Route) -> None:
        path = site / route.request.url.removeprefix("http://site.test/")
        await route.fulfill(path=path / "index.html" if path.is_dir() else path)

    queries = [*NAMES, *map(str.lower, NAMES)]
    async with async_playwright() as driver:  # not the browser of another package, which would be there until its end
        browser = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.route("http://site.test/**", serve)
        await page.goto("http://site.test/")
        found = await page.evaluate(_SEARCH, queries)
        await browser.close()

    lost = [
        query
        for query, name, places in zip(queries, 2 * NAMES, found, strict=True)
        if f"reference/{name}/" not in places
    ]
    assert lost == []


def test_the_page_of_an_agent_shows_what_it_inherits(pages: dict[str, str]) -> None:
    shown = set(re.findall(r'id="actors\.Agent\.(\w+)"', pages["reference/Agent/index.html"]))

    assert shown >= {"run", "run_stream", "run_iter", "run_sync", "connect_to", "approve"}


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_is_told_with_type_default_and_meaning(name: str, pages: dict[str, str]) -> None:
    page = pages[f"reference/{name}.options/index.html"]
    told = {
        text.split(None, 1)[0]: text for text in map(_words, page.split('<div class="doc doc-object doc-attribute">'))
    }

    for option in options_of(name):
        assert re.match(rf"{option} (?:property )?¶ {option} ?: \S.* \w+\b.*\.", told[option]), told[option]
        assert " = " in told[option] or " property " in told[option]
    assert f'href="../{name}.options/"' in pages[f"reference/{name.partition('.')[0]}/index.html"]


@pytest.mark.parametrize("name", sorted(set(NAMES) - MADE_FOR_USERS))
def test_each_parameter_is_told(name: str, pages: dict[str, str]) -> None:
    page = pages[f"reference/{name}/index.html"]
    page += "".join(pages[f"reference/{one}/index.html"] for one in re.findall(r'href="\.\./([\w.]+\.options)/"', page))
    told = re.findall(r"<code>\**(\w+)</code>", page) + re.findall(r'id="[\w.]+\.(\w+)"', page)
    given = inspect.signature(getattr(actors, name)).parameters.values()
    named = {each.name for each in given if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)}

    assert named - {*told, *_TOLD_ELSEWHERE.get(name, ())} == set()


def test_no_page_is_large(pages: dict[str, str]) -> None:
    assert {place: len(text.encode()) for place, text in pages.items() if len(text.encode()) >= MOST_BYTES} == {}


def test_only_what_users_import_has_a_heading(pages: dict[str, str], inventory: dict[str, tuple[str, str]]) -> None:
    shown = {anchor for text in pages.values() for _, anchor, _ in _HEADING.findall(text)}
    classes = {name for name in shown if inventory.get(name, ("",))[0] == "py:class"}
    public = {f"actors.{name}" for name in NAMES}

    assert {name for name in classes - public if name.rpartition(".")[0] not in MODULES} == set()
    assert {name for name in shown if re.search(r"\._", name)} == set()


def test_what_the_guides_import_is_in_the_reference(inventory: dict[str, tuple[str, str]]) -> None:
    wanted = {
        f"{module}.{name.strip()}"
        for page in [ROOT / "README.md", *DOCS.rglob("*.md")]
        for module, names in _IMPORT.findall(page.read_text(encoding="utf-8"))
        for name in re.sub(r"[()]| as \w+|#.*", "", names).split(",")
    }

    assert {name for name in wanted if name not in inventory} == set()


def test_links_lead_to_pages_and_anchors_that_are_there(site: Path, pages: dict[str, str]) -> None:
    anchors = {place: set(re.findall(r'\sid="([^"]+)"', text)) for place, text in pages.items()}
    lost: set[tuple[str, str]] = set()
    for place, text in pages.items():
        for link in re.findall(r'<(?:a|img|link|script)[^>]*\s(?:href|src)="([^"]+)"', text):
            target, _, anchor = urljoin(f"/{place}", unescape(link)).lstrip("/").partition("#")
            if ":" in target:
                continue
            page = f"{target}index.html" if target.endswith("/") or not target else target
            if not (site / page).is_file() or (anchor and anchor not in anchors[page]):
                lost.add((place, link))
    assert lost == set()


def test_no_page_loads_anything_from_another_host(pages: dict[str, str]) -> None:
    loaded = r'<(?:script|img|link|iframe)[^>]*\s(?:src|href)="(https?:[^"]*)"'

    assert {link for text in pages.values() for link in re.findall(loaded, text)} <= {""}


def _words(html: str) -> str:
    return " ".join(unescape(_TAG.sub(" ", html)).split())
