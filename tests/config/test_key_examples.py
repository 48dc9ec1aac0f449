"""The examples on docs/reference/manifest.md: each key has one, and each is a part of a sound manifest."""

from __future__ import annotations

import json

import pytest

from actors.config.load import parse_manifest
from actors.config.yaml.parser import read_source
from tests.config.section_sites import SITES, all_keys, sections
from tests.manifest_page import example


@pytest.mark.parametrize(("section", "key"), all_keys())
def test_the_example_of_a_key_is_sound(section: str, key: str) -> None:
    manifest, found = SITES[section].section()
    texts = example(sections()[section], key)
    keys, problems = read_source("\n".join(texts.values()), name="example")
    found.update(keys)
    manifest["allow_imports"] = ["shop", "tests", "protocols"]

    parse_manifest(json.dumps(manifest), env={"SECRET": "s", "PASSWORD": "s", "TOKEN": "s"})

    assert problems == []
    assert texts[key].partition(":")[0] == key
    assert found[key] is not None
