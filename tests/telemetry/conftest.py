"""A traced pool for tests, and its spans and its runs as trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from actors import AgentPool
from actors.runtime.system import ActorSystem
from actors.telemetry import Tracing, conventions
from protocols.events import RunStarted

if TYPE_CHECKING:
    from collections.abc import Callable

Edge = tuple[str, str, str]
"""Run, the run around it, and the node."""


class Traced:
    """The spans of a pool, and the runs as the events tell them."""

    def __init__(self, system: ActorSystem, *, content: bool = False) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.pool: AgentPool[Any] = AgentPool(system=system, tracing=Tracing(self.provider, content=content))
        self.system = system
        self._started: list[RunStarted] = []

    def listen(self) -> None:
        """Note the runs that begin. A team that nothing supervises lives in the system of the loop."""
        for system in (self.system, ActorSystem.of(self.system.loop)):
            system.events.subscribe(self._started.append, [RunStarted])

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended."""
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        """Return the only span of this name."""
        (span,) = [one for one in self.spans if one.name == name]
        return span

    def of_runs(self) -> list[ReadableSpan]:
        """Return the spans of runs, not those of models and tools."""
        return [one for one in self.spans if conventions.RUN_ID in (one.attributes or {})]

    def run_tree(self) -> set[Edge]:
        """Return the runs as the events tell them."""
        return {(one.run_id, one.parent_run_id, one.actor) for one in self._started}

    def span_tree(self) -> set[Edge]:
        """Return the runs as the parents of the spans tell them."""
        by_id = {one.context.span_id: one for one in self.spans if one.context is not None}

        def run_of(span: ReadableSpan | None) -> str:
            while span is not None:
                run_id = (span.attributes or {}).get(conventions.RUN_ID)
                if run_id is not None:
                    return str(run_id)
                span = None if span.parent is None else by_id[span.parent.span_id]
            return ""

        return {
            (run_of(one), run_of(None if one.parent is None else by_id[one.parent.span_id]), one.name.split(" ", 1)[1])
            for one in self.of_runs()
        }

    def traces(self) -> set[int]:
        """Return the ids of the traces."""
        return {one.context.trace_id for one in self.spans if one.context is not None}


@pytest.fixture
def traced(actor_system: ActorSystem) -> Callable[..., Traced]:
    """Return what makes a traced pool in the system of the test."""

    def make(*, content: bool = False) -> Traced:
        made = Traced(actor_system, content=content)
        made.listen()
        return made

    return make
