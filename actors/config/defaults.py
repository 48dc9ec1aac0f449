"""Values for nodes that do not set their own."""

from typing import TypeVar

from actors.config.agent import AgentSpec
from actors.config.duration import Timeout
from actors.config.journal import DurableSpec
from actors.config.model import ModelSpec
from actors.config.node import NodeSpec, UsageLimitsSpec
from actors.config.policy import PolicySpec
from actors.config.section import Section
from actors.config.session import SessionSpec, SessionsSpec
from actors.config.supervision import NodeSupervision, RetrySpec
from actors.config.value import Count, MailboxSpec, Positive


class DefaultsSpec(Section):
    """What a node has unless its own map says otherwise; maps are not mixed."""

    model: ModelSpec | None = None
    """Model of agents."""
    policy: PolicySpec | None = None
    """Policy of requests to models of agents."""
    retries: Count | None = None
    """Retries of agents."""
    output_retries: Count | None = None
    """Output retries of agents."""
    session: SessionSpec | None = None
    """Session of agents."""
    sessions: SessionsSpec | None = None
    """Sessions of agents."""
    supervision: NodeSupervision | None = None
    """Restart and shutdown of agents."""
    limits: UsageLimitsSpec | None = None
    """What one run of an agent or team may use."""
    timeout: Timeout | None = None
    """How long one run of an agent or team may take, in seconds."""
    mailbox: MailboxSpec | None = None
    """Mailbox of agents and teams."""
    max_concurrency: Positive | None = None
    """Runs at once of agents and teams."""
    durable: DurableSpec | None = None
    """Whether agents and teams keep what they have accepted on disk, and how."""
    retry: RetrySpec | None = None
    """How often a run of an agent tries again after a failure."""


_SHARED: tuple[str, ...] = ("limits", "timeout", "mailbox", "max_concurrency", "durable")
_OF_AGENTS: tuple[str, ...] = (
    "model", "policy", "retries", "output_retries", "session", "sessions", "supervision", "retry",
)  # fmt: skip
Node = TypeVar("Node", bound=NodeSpec)


def with_defaults(node: Node, defaults: DefaultsSpec) -> Node:
    """Return a node with the defaults filled in where it has no value of its own; pure."""
    keys = _SHARED + _OF_AGENTS if isinstance(node, AgentSpec) else _SHARED
    if isinstance(node, AgentSpec) and node.function is not None:
        keys = tuple(key for key in keys if key not in ("model", "policy", "sessions"))
    update = {
        key: getattr(defaults, key) for key in keys if getattr(node, key) is None and getattr(defaults, key) is not None
    }
    return node.model_copy(update=update) if update else node
