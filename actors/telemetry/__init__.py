"""What runs, waits, fails and costs, for Prometheus and OpenTelemetry; nothing is counted unless it is asked for."""

from actors.telemetry.otel_metrics import otel_metrics
from actors.telemetry.snapshot import MetricsSnapshot, PoolMetrics
from actors.telemetry.tracing import Tracing

__all__ = ["MetricsSnapshot", "PoolMetrics", "Tracing", "otel_metrics"]
