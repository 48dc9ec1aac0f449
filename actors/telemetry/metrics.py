"""The names of all metrics. The table of docs/telemetry.md says the same, as a test sees to."""

from typing import Final, Literal

import msgspec

_UNITS: Final = {"s": "_seconds", "USD": "_dollars"}

Kind = Literal["counter", "gauge", "histogram"]
Label = Literal["actor", "host", "model", "node", "reason"]


class Metric(msgspec.Struct, frozen=True):
    """One metric."""

    label: Label
    """What each of its values is about."""
    path: str
    """Its name below ``understage``."""
    kind: Kind
    unit: str
    """By the Unified Code for Units of Measure."""
    text: str
    """What it says."""
    source: str = ""
    """The attribute that it is read from; empty for what is read otherwise."""

    @property
    def name(self) -> str:
        """The name for OpenTelemetry."""
        return f"understage.{self.path}"

    @property
    def prometheus(self) -> str:
        """The name for Prometheus."""
        unit = _UNITS.get(self.unit, "")
        total = "_total" if self.kind == "counter" else ""
        return f"{self.name.replace('.', '_').removesuffix(unit)}{unit}{total}"


_ALL: Final = (
    Metric("actor", "mailbox.depth", "gauge", "{message}", "Messages that wait."),
    Metric("actor", "mailbox.age", "gauge", "s", "How long the oldest of them has waited."),
    Metric("actor", "mailbox.overflow", "counter", "{message}", "Messages that a full mailbox has refused or dropped."),
    Metric("actor", "actor.handled", "counter", "{message}", "Messages handled.", "handled"),
    Metric("actor", "actor.failed", "counter", "{message}", "Messages whose handler failed.", "failed"),
    Metric("actor", "actor.restarts", "counter", "{restart}", "Restarts by supervisors.", "restarts"),
    Metric("node", "run.started", "counter", "{run}", "Runs begun.", "runs"),
    Metric("node", "run.active", "gauge", "{run}", "Runs in flight."),
    Metric("node", "run.completed", "counter", "{run}", "Runs that ended with an answer.", "completed"),
    Metric("node", "run.failed", "counter", "{run}", "Runs that failed; one that failed by a member counts there.",
           "failures"),
    Metric("node", "run.cancelled", "counter", "{run}", "Runs cancelled.", "cancelled"),
    Metric("node", "run.duration", "histogram", "s", "How long runs took, failed and cancelled ones included."),
    Metric("node", "run.input_tokens", "counter", "{token}", "Tokens read by models, as far as answers tell.",
           "input_tokens"),
    Metric("node", "run.output_tokens", "counter", "{token}", "Tokens written by models.", "output_tokens"),
    Metric("node", "run.cost", "counter", "USD", "Money for models with a known price.", "cost"),
    Metric("node", "run.unpriced", "counter", "{message}", "Answers without a known price.", "unpriced"),
    Metric("node", "budget.tokens", "gauge", "{token}", "Tokens left of the budget; the node `(pool)` is the pool."),
    Metric("node", "budget.cost", "gauge", "USD", "Money left of the budget."),
    Metric("node", "budget.requests", "gauge", "{request}", "Requests to models left of the budget."),
    Metric("node", "budget.seconds", "gauge", "s", "Time left of the budget."),
    Metric("node", "trigger.accepted", "counter", "{event}", "Events taken by the triggers of the node."),
    Metric("node", "trigger.completed", "counter", "{run}", "Their runs that ended with an answer."),
    Metric("node", "trigger.failed", "counter", "{run}", "Their runs that failed or were cancelled."),
    Metric("node", "durable.open", "gauge", "{message}",
           "Messages that a durable node has accepted and not yet handled."),
    Metric("model", "model.requests", "counter", "{request}", "Requests to the model that have ended.", "requests"),
    Metric("model", "model.failed", "counter", "{request}", "Requests without an answer.", "failures"),
    Metric("model", "model.retries", "counter", "{attempt}", "Attempts that failed and were made again.", "retries"),
    Metric("model", "model.input_tokens", "counter", "{token}", "Tokens that the model has read.", "input_tokens"),
    Metric("model", "model.output_tokens", "counter", "{token}", "Tokens that the model has written.", "output_tokens"),
    Metric("model", "model.breaker", "gauge", "1", "1 while the endpoint is left alone because it failed, else 0."),
    Metric("reason", "dead_letters", "counter", "{message}", "Messages that were not handled."),
    Metric("host", "cluster.hosts", "gauge", "{host}", "Hosts of the cluster that live, as this one sees them."),
    Metric("host", "cluster.shards", "gauge", "{shard}", "Shards that this host has."),
)  # fmt: skip
METRICS: Final = {one.name: one for one in _ALL}
"""All metrics by name."""
DURATION: Final = METRICS["understage.run.duration"]


def sources(label: Label) -> dict[str, str]:
    """Return the attributes that metrics of a label are read from, by the names of the metrics."""
    return {one.name: one.source for one in _ALL if one.label == label and one.source}
