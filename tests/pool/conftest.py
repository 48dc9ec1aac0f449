"""Fixtures of the tests of pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pool.reload_functions import GATE, POOLS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fresh_gate() -> Iterator[None]:
    """Let a test begin with an open gate."""
    GATE.reset()
    POOLS.clear()
    yield
    GATE.reset()
    POOLS.clear()
