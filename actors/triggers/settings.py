"""Settings of triggers: those of a manifest, and those of triggers whose events come from functions."""

from dataclasses import dataclass, field

from actors.config.template import PROMPT_PLACES, check_template
from actors.config.trigger import TriggerSpec
from actors.config.value import QueueSpec
from protocols.triggers import TriggerConfigError


@dataclass(frozen=True)
class FunctionSettings:
    """Settings of a trigger whose events come from functions; no manifest has one."""

    name: str = "events"
    """Name of the trigger, unique within its node."""
    template: str | None = None
    """Prompt of the run; what the function returned by default."""
    include_metadata: bool = True
    """Add the event's metadata to the prompt."""
    include_timestamp: bool = True
    """Add the time of the event to the prompt."""
    concurrency: int = 1
    """Runs of this trigger at the same time."""
    queue: QueueSpec = field(default_factory=QueueSpec)
    """How many events may wait."""
    backoff: float = 0.2
    """First delay before the queue is started again after a failure, in seconds."""

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            TriggerConfigError: The name is empty, the template has an unknown place, or the concurrency is below 1.
        """
        if not self.name.strip() or self.concurrency < 1:
            message = f"events need a name and a concurrency >= 1, not {self.name!r} and {self.concurrency!r}"
            raise TriggerConfigError(message)
        try:
            check_template(self.template or "", PROMPT_PLACES)
        except ValueError as error:
            message = f"events {self.name!r}: {error}"
            raise TriggerConfigError(message) from error


TriggerSettings = TriggerSpec | FunctionSettings
"""Settings that every trigger has."""
