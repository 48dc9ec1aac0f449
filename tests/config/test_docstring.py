import sys
import types

import pytest
from pydantic import BaseModel

from actors.config.section import field_texts
from actors.config.trigger import FileTrigger


def test_the_text_below_a_field_is_found_also_in_a_parent() -> None:
    texts = field_texts(FileTrigger)

    assert texts["recursive"] == "Whether folders inside a folder count."
    assert texts["enabled"] == "Whether it is started."


def test_a_class_without_source_has_no_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "made_up", types.ModuleType("made_up"))

    assert field_texts(type("Made", (BaseModel,), {"__module__": "made_up"})) == {}
