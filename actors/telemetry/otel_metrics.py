"""Metrics for OpenTelemetry: observable instruments that read one snapshot for each export."""

from collections.abc import Iterable
from functools import partial
from math import inf, nextafter
from typing import Final

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider

from actors.stats.duration_totals import BOUNDS, DurationTotalsSnapshot
from actors.telemetry.metrics import DURATION, METRICS, Metric
from actors.telemetry.snapshot import PoolMetrics, PoolView

_EDGES: Final = (0.0, *BOUNDS, inf)


def otel_metrics(pool: PoolView, meter_provider: MeterProvider | None = None) -> PoolMetrics:
    """Let OpenTelemetry export the metrics of a pool; call it once, on the event loop of the pool, while it runs.

    Each export reads one snapshot. The exporter's thread waits a second at most for it, then the last one is exported.

    Args:
        pool: the pool.
        meter_provider: makes the instruments; None for the global one.

    Example:
        ```python
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        async with pool:
            otel_metrics(pool, MeterProvider([reader]))
        ```
    """
    export = _Export(PoolMetrics(pool))
    export.register(meter_provider or get_meter_provider())
    return export.metrics


class _Export:
    """What was read for the export that is made now."""

    def __init__(self, metrics: PoolMetrics) -> None:
        self.metrics = metrics
        self._snapshot = metrics.last
        self._told: dict[str, DurationTotalsSnapshot] = {}

    def register(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("understage")
        self._durations = meter.create_histogram(
            DURATION.name, DURATION.unit, DURATION.text, explicit_bucket_boundaries_advisory=BOUNDS
        )
        first = True
        for metric in METRICS.values():
            if metric is not DURATION:
                is_counter = metric.kind == "counter"
                create = meter.create_observable_counter if is_counter else meter.create_observable_gauge
                create(metric.name, [partial(self._observe, metric, first)], metric.unit, metric.text)
                first = False

    def _observe(self, metric: Metric, is_first: bool, _: CallbackOptions) -> Iterable[Observation]:
        if is_first:  # instruments are asked in the order of their creation
            self._snapshot = self.metrics.current()
            self._record(self._snapshot.durations)
        numbers = self._snapshot.values.get(metric.name, {})
        return [Observation(number, {metric.label: value}) for value, number in numbers.items()]

    def _record(self, durations: dict[str, DurationTotalsSnapshot]) -> None:
        """Record what has come since the last export.

        No instrument observes a histogram. So the runs of one class of duration are recorded with their mean: their
        number, their sum and the classes are exact.
        """
        for node, totals in durations.items():
            told = self._told.get(node, DurationTotalsSnapshot())
            for at, count in enumerate(totals.counts):
                new = count - told.counts[at]
                if new > 0:
                    mean = (totals.nanoseconds[at] - told.nanoseconds[at]) / new / 1e9
                    mean = min(max(mean, nextafter(_EDGES[at], inf) if at else 0.0), _EDGES[at + 1])
                    for _ in range(new):
                        self._durations.record(mean, {DURATION.label: node})
        self._told = dict(durations)
