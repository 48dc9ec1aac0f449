"""Metrics for Prometheus: the text of a snapshot, and a collector for any registry. Needs the extra ``prometheus``."""

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import cast

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from actors.stats.event_totals import BOUNDS, DurationTotals
from actors.telemetry.metrics import DURATION, METRICS
from actors.telemetry.snapshot import MetricsSnapshot


class PrometheusCollector(Collector):
    """The metrics of a pool for a registry; `read` gives the snapshot of a scrape.

    Example:
        ```python
        REGISTRY.register(PrometheusCollector(PoolMetrics(pool).current))  # on the event loop of the pool
        ```
    """

    def __init__(self, read: Callable[[], MetricsSnapshot]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Return the metrics."""
        snapshot = self._read()
        for metric in METRICS.values():
            name, labels = metric.prometheus, [metric.label]
            if metric is DURATION:
                histogram = HistogramMetricFamily(name, metric.text, labels=labels)
                histogram.samples = cast("list[Sample]", _samples(name, snapshot.durations))
                yield histogram
                continue
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(name, metric.text, labels=labels)
            for value, number in snapshot.values.get(metric.name, {}).items():
                family.add_metric([value], number)
            yield family


def _samples(name: str, durations: Mapping[str, DurationTotals]) -> Iterator[Sample]:
    """Return those of a histogram, made when they are taken: the garbage collector would look at all of them."""
    for value, totals in durations.items():
        one = HistogramMetricFamily(name, DURATION.text, labels=[DURATION.label])
        bounds = zip([*map(repr, BOUNDS), "+Inf"], accumulate(totals.counts), strict=True)
        one.add_metric([value], list(bounds), totals.seconds)
        yield from one.samples


def exposition(snapshot: MetricsSnapshot, accept: str) -> tuple[bytes, str]:
    """Return a snapshot as text, and the type of its content, by the ``Accept`` header of who asks."""
    registry = CollectorRegistry()
    registry.register(PrometheusCollector(lambda: snapshot))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
