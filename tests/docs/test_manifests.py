"""The YAML in the documentation and in the examples is what the loader and the schema accept."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped] # its types are a package of their own
import pytest
import yaml

from actors.config.load import load_agent, load_manifest
from actors.config.schema import manifest_schema
from actors.config.yaml.problem import InvalidManifestError
from tests.manifest_page import PAGE, page

ROOT: Final = Path(__file__).parent.parent.parent
SCHEMA: Final[Any] = jsonschema.Draft202012Validator(manifest_schema())
_BLOCK: Final = re.compile(r"^```ya?ml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIABLE: Final = re.compile(r"\$\{([A-Z_]+)\}")
_AROUND: Final = "agents:\n  inbox: {}\n  reader:\n    triggers:\n"
"""What stands around the lists of the page on triggers."""


def blocks() -> list[tuple[str, str]]:
    """Return every YAML block of the documentation with its page and line."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        (f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, found.start(1)) + 1}", found[1])
        for page in pages
        for text in (page.read_text(encoding="utf-8"),)
        for found in _BLOCK.finditer(text)
    ]


def accepted(file: Path, text: str) -> dict[str, Any]:
    """Return the data of a block that is a manifest, the file of one agent, or a list of triggers."""
    tree: Any = yaml.safe_load(text)
    if isinstance(tree, list):
        file.write_text(_AROUND + text, encoding="utf-8")
        return accepted(file, _AROUND + text)
    file.write_text(text, encoding="utf-8")
    env = dict.fromkeys(_VARIABLE.findall(text), "secret")
    try:
        load_manifest(file, env=env)
    except InvalidManifestError:
        if "agents" in tree:
            raise
        load_agent(file, env=env)
        return {"agents": {"a": tree}}
    assert isinstance(tree, dict)
    return dict(tree)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - its keys are text


@pytest.mark.parametrize("text", [pytest.param(text, id=place) for place, text in blocks()])
def test_the_manifests_of_the_documentation_are_sound(text: str, tmp_path: Path) -> None:
    assert [problem.message for problem in SCHEMA.iter_errors(accepted(tmp_path / "m.yml", text))] == []


def test_there_are_manifests_in_the_documentation() -> None:
    assert len(blocks()) >= 5


@pytest.mark.parametrize("file", sorted((ROOT / "examples").rglob("*.yml")), ids=lambda file: file.parent.name)
def test_the_manifests_of_the_examples_fit_the_schema(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    load_manifest(file, env={**os.environ, **dict.fromkeys(_VARIABLE.findall(text), "x")})

    assert [problem.message for problem in SCHEMA.iter_errors(yaml.safe_load(text))] == []


def test_the_page_of_keys_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.manifest_page"
