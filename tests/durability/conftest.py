"""The process that forks, one for all tests here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.durability.forks import Forks

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def forks() -> Iterator[Forks]:
    with Forks() as made:
        yield made
