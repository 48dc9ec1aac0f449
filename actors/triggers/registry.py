"""The types of triggers: the built-in ones, and those of installed packages."""

from collections.abc import Iterable
from typing import Any, Final

from actors.config.trigger import TriggerSpec, installed_type
from actors.triggers.connection_source import CONNECTION
from actors.triggers.files.source import FILE
from actors.triggers.mail.source import EMAIL
from actors.triggers.schedule.source import INTERVAL, SCHEDULE
from actors.triggers.trigger_type import TriggerType
from actors.triggers.webhook.trigger_type import WEBHOOK
from protocols.triggers import TriggerConfigError

BUILT_IN: Final[tuple[TriggerType[Any], ...]] = (FILE, WEBHOOK, SCHEDULE, INTERVAL, EMAIL, CONNECTION)


def type_of(spec: TriggerSpec, further: Iterable[TriggerType[Any]] = ()) -> TriggerType[Any]:
    """Return the type of a trigger.

    Args:
        spec: the trigger.
        further: types that are neither built-in nor installed.

    Raises:
        TriggerConfigError: No type has this class as its `spec`.
    """
    installed: TriggerType[Any] | None = installed_type(spec.type)
    for known in (*BUILT_IN, *further, installed):
        if known is not None and known.spec is type(spec):
            return known
    message = f"trigger {spec.name!r}: no type of trigger has {type(spec).__name__} as its spec; pass types=[...]"
    raise TriggerConfigError(message)
