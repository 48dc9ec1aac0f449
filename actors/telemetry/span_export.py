"""`SpanExport`: the tracing of a pool whose manifest has `tracing`. Needs the extra ``otel``."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter, SpanExportResult

from actors.config.tracing import TracingSpec
from actors.runtime.daemon_thread import CALLS
from actors.telemetry.tracing import Tracing
from protocols.checks import ADDRESS
from protocols.errors import ConfigError

PATIENCE: Final = 3.0
"""Seconds that the end of a pool waits for its last spans to be sent."""
_PATH: Final = "/v1/traces"
_log = logging.getLogger("understage.telemetry")


class SpanExport:
    """Sends spans from a thread of its own, as the manifest and the variables of OpenTelemetry say.

    Raises ConfigError or ValueError for a wrong variable.
    """

    def __init__(self, spec: TracingSpec, name: str) -> None:
        named = Resource.create({SERVICE_NAME: name}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)  # which would wait without a limit
        self._exporter = _exporter(spec)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self.tracing = Tracing(self._provider, content=spec.content)
        """Makes the spans."""

    async def close(self) -> None:
        """Send the last spans. A collector that does not answer within `PATIENCE` does not get them."""
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.wrap_future(CALLS.submit(self._provider.shutdown))
        except TimeoutError:
            self._exporter.shutdown()  # its thread tries no more
            _log.warning("tracing: the collector did not take the last spans within %g seconds", PATIENCE)


class Collector(OTLPSpanExporter):
    """Tells once that the collector takes no spans, and once that it takes them again."""

    _is_lost = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        result = super().export(spans)
        if self._is_lost is (result is SpanExportResult.SUCCESS):
            self._is_lost = not self._is_lost
            what = "takes no spans, so they are lost" if self._is_lost else "takes spans again"
            _log.warning("tracing: the collector at %s %s", self._endpoint, what)
        return result


def _exporter(spec: TracingSpec) -> SpanExporter:
    if spec.exporter == "console":
        return ConsoleSpanExporter(out=sys.stderr)
    for name in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        if (given := spec.endpoint or os.environ.get(name)) and not ADDRESS.accepts(given):
            raise ConfigError(f"{name}: expected {ADDRESS.expected}")
    return Collector(spec.endpoint and spec.endpoint.rstrip("/").removesuffix(_PATH) + _PATH)
