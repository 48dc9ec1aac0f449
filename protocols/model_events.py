"""Events of requests to models."""

from protocols.stamp import StampedEvent


class ModelEvent(StampedEvent, frozen=True, kw_only=True):
    """What events of requests to models carry."""

    model: str = ""
    endpoint: str = ""
    """Host and port of the API; empty for a model without one."""


class ModelRequested(ModelEvent, frozen=True, kw_only=True):
    """A request to a model began; its attempts are `ModelRetried`, its end is `ModelResponded`."""


class ModelResponded(ModelEvent, frozen=True, kw_only=True):
    """A request to a model ended, with an answer or without one."""

    duration: float = 0.0
    """Seconds from `ModelRequested`, all attempts and waits included."""
    attempts: int = 0
    """Attempts made; 0 if a budget or a limit refused it before."""
    input_tokens: int = 0
    """Tokens read; 0 without an answer."""
    output_tokens: int = 0
    """Tokens written; 0 without an answer."""
    error_type: str = ""
    """Class of the exception it ended with; empty for an answer."""


class ModelRetried(ModelEvent, frozen=True, kw_only=True):
    """A request to a model failed and is made again."""

    attempt: int = 0
    """Number of the attempt that failed, from 1."""
    delay: float = 0.0
    """Seconds until the next one."""
    error_type: str = ""


class ModelThrottled(ModelEvent, frozen=True, kw_only=True):
    """A request waits: the provider asked for a pause, or the limits of its endpoint are reached.

    Agents with the same key share both.
    """

    delay: float = 0.0
    """Seconds until the pause ends; 0 if it waits for its turn."""


class CircuitOpened(ModelEvent, frozen=True, kw_only=True):
    """An endpoint failed so often in a row that requests are refused without asking it."""

    delay: float = 0.0
    """Seconds until one request may find out whether it works again."""


class CircuitClosed(ModelEvent, frozen=True, kw_only=True):
    """An endpoint answers again."""


class ProtocolWarning(ModelEvent, frozen=True, kw_only=True):
    """A server ended its stream in a way that its protocol does not know; the answer was clear all the same."""

    problem: str = ""


class BudgetWarning(StampedEvent, frozen=True, kw_only=True):
    """A share of a budget is spent, or what it limits cannot be measured; once for each of its limits."""

    budget: str = ""
    """Whose budget it is: of a run, a session, an agent, a team or a pool."""
    limit: str = ""
    """Which limit: tokens, cost or requests."""
    spent: float = 0.0
    most: float = 0.0
    is_measured: bool = True
    """False if an answer had no known price, so that its cost is not counted."""


class ToolStarted(StampedEvent, frozen=True, kw_only=True):
    """A tool is called; its end is `ToolCalled` with the same `tool_call_id`."""

    tool_name: str = ""
    tool_call_id: str = ""


class ToolAbandoned(StampedEvent, frozen=True, kw_only=True):
    """A call of a plain tool does not stop, though its run or its time is over: its thread is left behind."""

    tool: str = ""
    seconds: float = 0.0
    """How long it had worked when it was left."""
