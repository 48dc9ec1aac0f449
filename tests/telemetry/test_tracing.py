"""Tracing is made explicitly, for one pool, and absent everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors import AgentPool
from actors.telemetry import Tracing, tracing
from protocols.errors import ConfigError
from tests.support.nodes import echo_agent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.telemetry.conftest import Traced


def test_a_missing_extra_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> None:
        return None

    monkeypatch.setattr(tracing, "find_spec", absent)

    with pytest.raises(ConfigError, match=r"pip install 'understage\[otel\]'"):
        Tracing()


@pytest.mark.parametrize("provider", ["otel", 5, AgentPool])
def test_what_is_no_provider_is_refused(provider: Any) -> None:
    with pytest.raises(ConfigError, match="tracing needs a TracerProvider, not"):
        Tracing(provider)


async def test_another_pool_of_the_same_system_is_not_traced(traced: Callable[..., Traced]) -> None:
    here = traced()
    other: AgentPool[Any] = AgentPool(system=here.system)
    async with here.pool, other:
        await other.add_node(echo_agent("b"))
        await other["b"].run("go")

    assert here.spans == ()
