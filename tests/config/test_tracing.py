"""Where the spans of runs are sent."""

from typing import Any

import pytest

from actors.config.tracing import TracingSpec
from tests.config.manifest_text import problem_of, read


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("true", {}),
        ("{}", {}),
        ("false", {"enabled": False}),
        ("http://collector:4318", {"endpoint": "http://collector:4318"}),
        ("{exporter: console, content: true}", {"exporter": "console", "content": True}),
    ],
)
def test_the_forms_of_tracing_are_read(text: str, given: dict[str, Any]) -> None:
    assert read(f"tracing: {text}").tracing == TracingSpec(**given)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("collector:4318", "", "expected an address that begins with http:// or https://"),
        ("{endpoint: 'grpc://collector'}", ".endpoint", "expected an address"),
        ("{endpoint: 'http://me:hidden@collector'}", ".endpoint", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("{exporter: console, endpoint: 'http://c'}", ".endpoint", "has no effect with 'exporter: console'"),
        ("{exporter: zipkin}", ".exporter", "expected 'otlp' or 'console'"),
        ("{contents: true}", ".contents", "unknown key 'contents'"),
        ("5", "", "expected text or a map of keys"),
    ],
)
def test_wrong_tracing_is_refused_with_its_place(text: str, path: str, expected: str) -> None:
    problem = problem_of(f"tracing: {text}")

    assert (problem.path, expected in problem.message) == (f"tracing{path}", True)
    assert "hidden" not in str(problem)
