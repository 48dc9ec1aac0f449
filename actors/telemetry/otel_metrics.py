"""Metrics for OpenTelemetry: observable instruments that read one snapshot for each export."""

from collections.abc import Iterator
from functools import partial
from math import inf, nextafter
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation, get_meter_provider

from actors.stats.event_totals import BOUNDS, DurationTotals
from actors.telemetry.metrics import DURATION, METRICS, Metric
from actors.telemetry.snapshot import PoolMetrics

_EDGES: Final = (0.0, *(nextafter(bound, inf) for bound in BOUNDS)), (*BOUNDS, inf)
"""The least and the greatest duration of each class."""


def otel_metrics(pool: Any, meter_provider: MeterProvider | None = None) -> PoolMetrics:
    """Let OpenTelemetry export the metrics of an `AgentPool`; call it once, on its event loop, while it runs.

    Each export reads one snapshot. The exporter's thread waits a second at most for it, then the last one is exported.
    `meter_provider` makes the instruments; None for the global one.
    """
    metrics = PoolMetrics(pool)
    meter = (meter_provider or get_meter_provider()).get_meter("understage")
    histogram = meter.create_histogram(
        DURATION.name, DURATION.unit, DURATION.text, explicit_bucket_boundaries_advisory=BOUNDS
    )
    export = _Export(metrics, histogram)
    for metric in METRICS.values():
        if metric is not DURATION:
            is_counter = metric.kind == "counter"
            create = meter.create_observable_counter if is_counter else meter.create_observable_gauge
            create(metric.name, [partial(export.observe, metric)], metric.unit, metric.text)
    return metrics


class _Export:
    """The snapshot of the export that is made now."""

    def __init__(self, metrics: PoolMetrics, histogram: Histogram) -> None:
        self._metrics = metrics
        self._histogram = histogram
        self._snapshot = metrics.last
        self._told: dict[str, DurationTotals] = {}

    def observe(self, metric: Metric, _: CallbackOptions) -> Iterator[Observation]:
        if metric is next(iter(METRICS.values())):  # instruments are asked in the order of their creation
            self._snapshot = self._metrics.current()
            self._record()
        for value, number in self._snapshot.values.get(metric.name, {}).items():
            yield Observation(number, {metric.label: value})

    def _record(self) -> None:
        """Record what has come since the last export.

        No instrument observes a histogram. So the runs of one class of duration are recorded with their mean: their
        number, their sum and the classes are exact.
        """
        for node, totals in self._snapshot.durations.items():
            told = self._told.get(node, DurationTotals())
            for at, (least, greatest) in enumerate(zip(*_EDGES, strict=True)):
                new = totals.counts[at] - told.counts[at]
                if new > 0:
                    mean = (totals.nanoseconds[at] - told.nanoseconds[at]) / new / 1e9
                    for _ in range(new):
                        self._histogram.record(min(max(mean, least), greatest), {DURATION.label: node})
        self._told = self._snapshot.durations
