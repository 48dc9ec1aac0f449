"""A pool whose runs are counted, and what exporters say about it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families

from actors.app import AgentPool, StatsService
from actors.telemetry.metrics import DURATION, METRICS
from actors.telemetry.prometheus import exposition

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.runtime.system import ActorSystem
    from actors.telemetry import MetricsSnapshot

Numbers = dict[str, dict[str, float]]
"""By the name of the metric for OpenTelemetry, and the value of its label."""


@asynccontextmanager
async def counted_pool(
    system: ActorSystem, manifest: Any = None, *, counts: bool = True, **keywords: Any
) -> AsyncGenerator[AgentPool[Any]]:
    services = [*AgentPool.default_services, StatsService] if counts else None
    async with AgentPool[Any](manifest, system=system, services=services, **keywords) as pool:
        yield pool


def in_prometheus(text: str) -> Numbers:
    """Return what a text says; a histogram as its classes, its number and its sum."""
    found: Numbers = {}
    names = {one.prometheus: one for one in METRICS.values()}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            edge = labels.pop("le", "")
            base, _, part = sample.name.rpartition("_")
            metric = names.get(sample.name) or names[base]
            assert set(labels) == {metric.label}
            key = metric.name if metric is not DURATION else f"{metric.name} {part} {edge}".strip()
            found.setdefault(key, {})[labels[metric.label]] = sample.value
    return found


def told(snapshot: MetricsSnapshot) -> Numbers:
    """Return what Prometheus is told of a snapshot."""
    return in_prometheus(exposition(snapshot, "")[0].decode())


class Exporter:
    """OpenTelemetry with a reader that keeps what it has read."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])

    def collect(self) -> Numbers:
        found: Numbers = {}
        data = self.reader.get_metrics_data()
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data is not None else ():
            for point in metric.data.data_points:
                ((label, value),) = (point.attributes or {}).items()
                assert label == METRICS[metric.name].label
                if metric.name != DURATION.name:
                    found.setdefault(metric.name, {})[str(value)] = point.value  # type: ignore[union-attr]
                    continue
                edges, total = [*map(repr, point.explicit_bounds), "+Inf"], 0  # type: ignore[union-attr]
                for edge, count in zip(edges, point.bucket_counts, strict=True):  # type: ignore[union-attr]
                    total += count
                    found.setdefault(f"{metric.name} bucket {edge}", {})[str(value)] = total
                found.setdefault(f"{metric.name} count", {})[str(value)] = point.count  # type: ignore[union-attr]
                found.setdefault(f"{metric.name} sum", {})[str(value)] = point.sum  # type: ignore[union-attr]
        return found

    async def collected(self) -> Numbers:
        """Collect in a thread, as exporters do."""
        return await asyncio.to_thread(self.collect)
