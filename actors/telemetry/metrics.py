"""The names of all metrics. The table of docs/telemetry.md says the same, as a test sees to."""

from typing import Final, Literal

import msgspec

_UNITS: Final = {"s": "_seconds", "USD": "_dollars"}

Kind = Literal["counter", "gauge", "histogram"]
Label = Literal["actor", "model", "node", "reason"]
_Rows = tuple[tuple[str, Kind, str, str, str], ...]


class Metric(msgspec.Struct, frozen=True):
    """One metric."""

    name: str
    """For OpenTelemetry."""
    kind: Kind
    unit: str
    """By the Unified Code for Units of Measure."""
    label: Label
    """What each of its values is about."""
    source: str
    """The attribute that it is read from; empty for what is read otherwise."""
    text: str
    """What it says."""

    @property
    def prometheus(self) -> str:
        """The name for Prometheus."""
        unit = _UNITS.get(self.unit, "")
        total = "_total" if self.kind == "counter" else ""
        return f"{self.name.replace('.', '_').removesuffix(unit)}{unit}{total}"


_ACTOR: Final[_Rows] = (
    ("mailbox.depth", "gauge", "{message}", "", "Messages that wait."),
    ("mailbox.age", "gauge", "s", "", "How long the oldest of them has waited."),
    ("mailbox.overflow", "counter", "{message}", "", "Messages that a full mailbox has refused or dropped."),
    ("actor.handled", "counter", "{message}", "handled", "Messages handled."),
    ("actor.failed", "counter", "{message}", "failed", "Messages whose handler failed."),
    ("actor.restarts", "counter", "{restart}", "restarts", "Restarts by supervisors."),
)
_NODE: Final[_Rows] = (
    ("run.started", "counter", "{run}", "runs", "Runs begun."),
    ("run.active", "gauge", "{run}", "", "Runs in flight."),
    ("run.completed", "counter", "{run}", "completed", "Runs that ended with an answer."),
    ("run.failed", "counter", "{run}", "failures", "Runs that failed; one that failed by a member counts there."),
    ("run.cancelled", "counter", "{run}", "cancelled", "Runs cancelled."),
    ("run.duration", "histogram", "s", "", "How long runs took, failed and cancelled ones included."),
    ("run.input_tokens", "counter", "{token}", "input_tokens", "Tokens read by models, as far as answers tell."),
    ("run.output_tokens", "counter", "{token}", "output_tokens", "Tokens written by models."),
    ("run.cost", "counter", "USD", "cost", "Money for models with a known price."),
    ("run.unpriced", "counter", "{message}", "unpriced", "Answers without a known price."),
    ("budget.tokens", "gauge", "{token}", "", "Tokens left of the budget; the node `(pool)` is the pool."),
    ("budget.cost", "gauge", "USD", "", "Money left of the budget."),
    ("budget.requests", "gauge", "{request}", "", "Requests to models left of the budget."),
    ("budget.seconds", "gauge", "s", "", "Time left of the budget."),
    ("trigger.accepted", "counter", "{event}", "", "Events taken by the triggers of the node."),
    ("trigger.completed", "counter", "{run}", "", "Their runs that ended with an answer."),
    ("trigger.failed", "counter", "{run}", "", "Their runs that failed or were cancelled."),
    ("durable.open", "gauge", "{message}", "", "Messages that a durable node has accepted and not yet handled."),
)
_MODEL: Final[_Rows] = (
    ("model.requests", "counter", "{request}", "requests", "Requests to the model that have ended."),
    ("model.failed", "counter", "{request}", "failures", "Requests without an answer."),
    ("model.retries", "counter", "{attempt}", "retries", "Attempts that failed and were made again."),
    ("model.input_tokens", "counter", "{token}", "input_tokens", "Tokens that the model has read."),
    ("model.output_tokens", "counter", "{token}", "output_tokens", "Tokens that the model has written."),
    ("model.breaker", "gauge", "1", "", "1 while the endpoint is left alone because it failed, else 0."),
)
_REASON: Final[_Rows] = (("dead_letters", "counter", "{message}", "", "Messages that were not handled."),)


def _metrics(label: Label, rows: _Rows) -> tuple[Metric, ...]:
    return tuple(
        Metric(f"understage.{name}", kind, unit, label, source, text) for name, kind, unit, source, text in rows
    )


_OF_ACTORS, _OF_NODES, _OF_MODELS = _metrics("actor", _ACTOR), _metrics("node", _NODE), _metrics("model", _MODEL)
METRICS: Final = {one.name: one for one in (*_OF_ACTORS, *_OF_NODES, *_OF_MODELS, *_metrics("reason", _REASON))}
"""All metrics by name."""
DURATION: Final = METRICS["understage.run.duration"]
COUNTED: Final = tuple(one for one in _OF_ACTORS if one.source)
"""Read from the cell of each actor."""
OF_NODES: Final = tuple(one for one in _OF_NODES if one.source)
"""Read from the `EventTotalsSnapshot` of each node."""
OF_MODELS: Final = tuple(one for one in _OF_MODELS if one.source)
"""Read from the `ModelTotals` of each model."""
