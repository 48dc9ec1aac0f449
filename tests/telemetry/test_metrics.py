"""The names of metrics: after the conventions, and as the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from actors.telemetry.metrics import METRICS, Label, Metric

PAGE = Path(__file__).parent.parent.parent / "docs" / "telemetry.md"
_ROW = re.compile(r"^\| `(understage\.[^`]+)` \| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \| (.+) \|$", re.MULTILINE)


def test_the_page_has_all_metrics_and_no_others() -> None:
    rows = [tuple(row) for row in _ROW.findall(PAGE.read_text(encoding="utf-8"))]

    assert rows == [(one.name, one.prometheus, one.kind, one.unit, one.label, one.text) for one in METRICS.values()]


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_a_name_keeps_the_conventions(metric: Metric) -> None:
    unit = {"s": "_seconds", "USD": "_dollars"}.get(metric.unit, "")

    assert re.fullmatch(r"understage(\.[a-z_]+)+", metric.name)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", metric.prometheus)
    assert metric.prometheus.endswith(f"{unit}{'_total' if metric.kind == 'counter' else ''}")
    assert metric.prometheus.endswith("_total") == (metric.kind == "counter")
    assert metric.unit in {"s", "USD", "1"} or re.fullmatch(r"\{[a-z]+\}", metric.unit)
    assert metric.label in get_args(Label)


def test_names_differ_for_prometheus_too() -> None:
    assert len({one.prometheus for one in METRICS.values()}) == len(METRICS)
