"""Public names, manifest keys, command line, events and error types are as pinned; a move changes none of them."""

from __future__ import annotations

import pytest

from tests.pins.surface import FOLDER, PINS


@pytest.mark.parametrize("name", PINS)
def test_the_public_surface_is_as_pinned(name: str) -> None:
    pinned = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()

    assert list(PINS[name]()) == pinned, "if the change is meant: python -m tests.pins, and a line in CHANGELOG.md"
