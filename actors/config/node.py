"""The keys that agents and teams share."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from actors.config.connection import Connection
from actors.config.duration import PositiveSeconds, Timeout
from actors.config.import_path import ImportText
from actors.config.journal import DurableSpec
from actors.config.mcp_server import McpServerSpec
from actors.config.section import Section
from actors.config.supervision import RetrySpec
from actors.config.trigger import AnyTriggerSpec
from actors.config.value import Amount, Count, Flag, MailboxSpec, Name, Positive, Text


class UsageLimitsSpec(Section):
    """Limits for one run; a run that exceeds one fails."""

    spellings: ClassVar[Mapping[str, str]] = {"tokens": "total_tokens", "request_limit": "requests"}

    requests: Count | None = None
    """Requests to the model."""
    tool_calls: Count | None = None
    """Successful tool calls."""
    input_tokens: Count | None = None
    """Tokens sent to the model."""
    output_tokens: Count | None = None
    """Tokens received from the model."""
    total_tokens: Count | None = None
    """Tokens in both directions."""
    cost: Amount | None = None
    """Money, in US dollars."""


class BudgetSpec(Section):
    """What models may be asked for by all runs of a node, session or pool; at the end of it a request is refused."""

    tokens: Positive | None = None
    """Tokens in both directions."""
    cost: Annotated[Amount, Field(gt=0)] | None = None
    """Money, in US dollars."""
    requests: Positive | None = None
    """Requests to models."""
    seconds: PositiveSeconds | None = None
    """Seconds since the first request, after which none begins."""
    per: Literal["day"] | None = None
    """`day` for a budget that begins anew at midnight UTC."""
    warn_at: Annotated[Amount, Field(gt=0, le=1)] = 0.8
    """Share of a limit at which a warning is published."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if (self.tokens, self.cost, self.requests, self.seconds) == (None, None, None, None):
            yield "tokens", "is required, unless cost, requests or seconds is given"


class NodeSpec(Section):
    """What every node of the manifest has."""

    retired: ClassVar[Mapping[str, str]] = {"avatar": "nothing here shows pictures"}

    name: Name
    """The node's key in the manifest; it need not be repeated."""
    display_name: Text | None = None
    """Name for people; the name by default."""
    description: Text | None = None
    """What the node does; pickers and models read it."""
    triggers: tuple[AnyTriggerSpec, ...] = ()
    """What starts a run from outside."""
    connections: tuple[Connection, ...] = ()
    """Where each of its messages goes."""
    mcp_servers: tuple[McpServerSpec, ...] = ()
    """Servers whose tools it may use."""
    mailbox: MailboxSpec | None = None
    """How many messages may wait for it."""
    max_concurrency: Positive | None = None
    """How many runs it works on at once."""
    timeout: Timeout | None = None
    """How long one run may take, in seconds; `forever` for no limit."""
    limits: UsageLimitsSpec | None = None
    """What one run may use."""
    budget: BudgetSpec | None = None
    """What all its runs together may use."""
    crash_on: tuple[ImportText, ...] = ()
    """Import strings of exceptions that mean that the node itself is broken and must be restarted."""
    redeliver: Flag = False
    """Do a run whose actor crashed once more after the restart; what it does must bear to happen twice."""
    durable: DurableSpec | None = None
    """Whether what it has accepted is on disk until it is handled, and how."""
    placement: Literal["single", "anywhere"] | None = None
    """In a cluster: whether it lives in one process at a time, or in each that asks it. By default one that is durable,
    remembers, or works on one run at a time is `single`."""
    retry: RetrySpec | None = None
    """How often a run tries again after a failure; never by default."""
    debug: Flag = False
    """Log the sizes, times and failures of its runs at level DEBUG, but not what is said."""

    @property
    def lasts(self) -> bool:
        """True if one run depends on those before it: by what is remembered, or by their order."""
        return self.max_concurrency == 1

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the nodes that this node is made with: workers of an agent, or members, picker, validator."""
        return ()

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        counts = Counter(trigger.name for trigger in self.triggers)
        for name in [name for name, count in counts.items() if count > 1]:
            yield "triggers", f"two triggers have the name {name!r}"
