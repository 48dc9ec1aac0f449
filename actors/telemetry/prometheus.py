"""Metrics for Prometheus: the text of a snapshot, and a collector for any registry. Needs the extra ``prometheus``."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from actors.stats.duration_totals import BOUNDS
from actors.telemetry.metrics import DURATION, METRICS
from actors.telemetry.snapshot import MetricsSnapshot, PoolMetrics


class PrometheusCollector(Collector):
    """The metrics of a pool in a registry.

    Example:
        ```python
        REGISTRY.register(PrometheusCollector(PoolMetrics(pool)))
        ```

    Args:
        metrics: reads the pool; made on its event loop. A scrape waits a second at most for it.
    """

    def __init__(self, metrics: PoolMetrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        """Return nothing: a registry would take a scrape to know the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return the current metrics."""
        return _families(self._metrics.current())


class _Snapshot(Collector):
    def __init__(self, snapshot: MetricsSnapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        return _families(self._snapshot)


def exposition(snapshot: MetricsSnapshot, accept: str) -> tuple[bytes, str]:
    """Return a snapshot as text, and the type of its content, by the ``Accept`` header of who asks."""
    registry = CollectorRegistry()
    registry.register(_Snapshot(snapshot))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _families(snapshot: MetricsSnapshot) -> Iterator[Metric]:
    for metric in METRICS.values():
        name, labels = metric.prometheus, [metric.label]
        if metric is DURATION:
            histogram = HistogramMetricFamily(name, metric.text, labels=labels)
            for value, durations in snapshot.durations.items():
                bounds = zip([*map(repr, BOUNDS), "+Inf"], accumulate(durations.counts), strict=True)
                histogram.add_metric([value], list(bounds), durations.seconds)
            yield histogram
            continue
        family = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(
            name, metric.text, labels=labels
        )
        for value, number in snapshot.values.get(metric.name, {}).items():
            family.add_metric([value], number)
        yield family
