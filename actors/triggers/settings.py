"""Settings of triggers whose events come from functions."""

from typing import Any, Literal

from pydantic import ValidationError

from actors.config.trigger import TriggerSpec
from actors.config.value import Name
from protocols.triggers import TriggerConfigError


class FunctionSettings(TriggerSpec):
    """Settings of a trigger whose events come from functions; no manifest has one."""

    name: Name = "events"
    """Name of the trigger, unique within its node."""
    type: Literal["function"] = "function"
    """Kind of trigger."""

    def __init__(self, **settings: Any) -> None:
        """Check the settings.

        Raises:
            TriggerConfigError: A setting is unknown or wrong.
        """
        try:
            super().__init__(**settings)
        except ValidationError as error:
            texts = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
            message = f"events {settings.get('name', 'events')!r}: {'; '.join(texts)}"
            raise TriggerConfigError(message) from error
