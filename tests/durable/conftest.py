"""A journal that outlives the lives of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.durable.life import memory_journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from actors.storage.journal_memory import MemoryJournal


@pytest.fixture
async def journal() -> AsyncIterator[MemoryJournal]:
    made = await memory_journal()
    yield made
    await made.close()
