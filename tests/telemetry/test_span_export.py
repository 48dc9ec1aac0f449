"""A pool whose manifest has `tracing` sends its spans to a collector, which can hold up neither a run nor its end."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from actors import AgentPool
from actors.app import open_app
from actors.config.load import load_manifest
from actors.telemetry import span_export
from protocols.errors import ConfigError, ManifestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

CANARY = "canary"


class Collector:
    """What came in at a loopback address. It answers when `answers` is set."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Event()
        self.status = 200
        collector = self

        class Endpoint(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked.set()
                collector.answers.wait(10)
                collector.paths.append(self.path)
                collector.bodies.append(body)
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Endpoint)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def resources(self) -> Iterator[Any]:
        for body in self.bodies:
            yield from ExportTraceServiceRequest.FromString(body).resource_spans

    def spans(self) -> list[str]:
        return [span.name for one in self.resources() for scope in one.scope_spans for span in scope.spans]

    def services(self) -> set[str]:
        facts = [fact for one in self.resources() for fact in one.resource.attributes]
        return {fact.value.string_value for fact in facts if fact.key == "service.name"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield collector
    finally:
        collector.answers.set()
        collector.server.shutdown()
        thread.join()
        collector.server.server_close()


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read no variable of OpenTelemetry but those of the test, and ask nothing of a proxy."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")


def written(folder: Path, tracing: str) -> Path:
    file = folder / "agents.yml"
    file.write_text(f"name: desk\nagents: {{a: {{model: offline}}}}\ntracing: {tracing}\n")
    return file


async def test_a_collector_has_all_spans_when_the_pool_has_ended_and_no_content(
    collector: Collector, tmp_path: Path
) -> None:
    file = written(tmp_path, f"{collector.url}")
    pool: AgentPool[None] = AgentPool(file)
    for _ in range(2):  # a pool that is entered again is traced again
        async with pool:
            await pool["a"].run(CANARY)
        assert pool.tracing is None

    assert sorted(collector.spans()) == [*["chat offline"] * 2, *["invoke_agent a"] * 2]
    assert collector.services() == {"desk"}
    assert {*collector.paths} == {"/v1/traces"}
    assert CANARY.encode() not in b"".join(collector.bodies)


async def test_content_is_told_where_the_manifest_says_so(collector: Collector, tmp_path: Path) -> None:
    file = written(tmp_path, f"{{endpoint: '{collector.url}/v1/traces', content: true}}")
    async with AgentPool[None](file) as pool:
        await pool["a"].run(CANARY)

    assert {*collector.paths} == {"/v1/traces"}
    assert CANARY.encode() in b"".join(collector.bodies)


async def test_the_command_line_traces_and_the_variables_of_opentelemetry_are_read(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    async with open_app(load_manifest(written(tmp_path, "true")), has_triggers=False) as app:
        await app.pool["a"].run("go")

    assert "invoke_agent a" in collector.spans()
    assert collector.services() == {"mine"}


async def test_a_collector_that_does_not_answer_holds_up_neither_a_run_nor_the_end(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(span_export, "PATIENCE", 0.01)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    collector.answers.clear()
    with caplog.at_level(logging.WARNING, "understage.telemetry"):
        async with AgentPool[None](written(tmp_path, collector.url)) as pool:
            await pool["a"].run("go")
            assert await asyncio.to_thread(collector.asked.wait, 10)
            await pool["a"].run("go on")

    assert collector.bodies == []  # the pool has ended before the answer
    assert "did not take the last spans within 0.01 seconds" in caplog.text


def test_a_collector_that_takes_no_spans_is_told_once_and_again_when_it_does(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = span_export.Collector(collector.url)
    with caplog.at_level(logging.WARNING, "understage.telemetry"):
        for collector.status in (200, 400, 400, 200, 200, 400):
            exporter.export([])
    SimpleSpanProcessor(exporter).shutdown()

    lost, again = "takes no spans, so they are lost", "takes spans again"
    ours = [record.getMessage() for record in caplog.records if record.name == "understage.telemetry"]
    assert ours == [f"tracing: the collector at {collector.url} {what}" for what in (lost, again, lost)]


async def test_the_console_is_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with AgentPool[None](written(tmp_path, "{exporter: console}")) as pool:
        await pool["a"].run(CANARY)

    out, error = capsys.readouterr()
    assert (out, "invoke_agent a" in error, CANARY in error) == ("", True, False)


@pytest.mark.parametrize("tracing", ["false", "true"])
async def test_switched_off_it_costs_nothing(tracing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", tracing)
    async with AgentPool[None](written(tmp_path, tracing)) as pool:
        assert (pool.tracing, pool["a"].tracing) == (None, None)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT: expected an address"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "max_queue_size must be a positive"),
    ],
)
async def test_a_wrong_variable_is_refused_with_file_key_and_name(
    name: str, value: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    file = written(tmp_path, "true")
    with pytest.raises(ConfigError, match=f"{file}: tracing: {text}"):
        async with AgentPool[None](file):
            pass


async def test_a_missing_extra_is_refused_with_file_and_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.delitem(sys.modules, span_export.__name__)
    file = written(tmp_path, "true")
    with pytest.raises(ConfigError) as caught:
        async with AgentPool[None](file):
            pass

    assert re.fullmatch(rf"{file}: tracing: .*trace_exporter.*: pip install 'understage\[otel\]'", str(caught.value))


async def test_a_reload_cannot_send_spans_elsewhere(tmp_path: Path) -> None:
    file = written(tmp_path, "{exporter: console}")
    async with AgentPool[None](file) as pool:
        with pytest.raises(ManifestError, match="tracing: where spans are sent cannot be changed"):
            await pool.reload(written(tmp_path, "false"))
