"""Tracing: where the spans of the runs of a pool are sent."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from actors.config.section import Section
from actors.config.value import Flag, Text
from protocols.checks import ADDRESS


class TracingSpec(Section):
    """Where the spans of runs are sent; `true` for the usual, a text is its `endpoint`."""

    shorthand = "endpoint"
    short_forms: ClassVar[tuple[str, ...]] = ("boolean",)

    enabled: Flag = True
    """Whether runs have spans."""
    exporter: Literal["otlp", "console"] = "otlp"
    """To a collector by OTLP over HTTP, or as text to standard error."""
    endpoint: Text | None = None
    """Address of the collector; that of `OTEL_EXPORTER_OTLP_ENDPOINT`, or `http://localhost:4318`, by default."""
    content: Flag = False
    """Whether spans tell prompts, answers, arguments and results of tools, and the texts of exceptions."""

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Read true, false or an address."""
        return {"enabled": data} if isinstance(data, bool) else super().expand_shorthand(data)

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if self.endpoint is not None and not ADDRESS.accepts(self.endpoint):
            text = "expected an address that begins with http:// or https://, with passwords in"
            yield "endpoint", f"{text} OTEL_EXPORTER_OTLP_HEADERS"
        if self.endpoint is not None and self.exporter == "console":
            yield "endpoint", "has no effect with 'exporter: console'"
