"""Give triggers the events of connections, and the conditions of connection triggers."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from actors.agents.manifest.imports import ImportScope
from actors.config.trigger import ConnectionTrigger
from actors.pool.manifest.condition import condition_of, truth
from actors.talk.context import ConnectionProcessed, TalkContext
from actors.talk.registry import TalkRegistry
from protocols.triggers import ConnectionFact


class ConnectionEvents:
    """The events of all connections of one pool, later connections included."""

    def __init__(self, registry: TalkRegistry) -> None:
        self._registry = registry

    def connect(self, told: Callable[[ConnectionFact], object], /) -> Callable[[], None]:
        """Call a function with each event from now on; the returned function ends that."""

        def tell(passed: ConnectionProcessed) -> None:
            told(_fact(passed))

        self._registry.message_flow.connect(tell)
        return partial(self._registry.message_flow.disconnect, tell)


def condition_for(
    settings: ConnectionTrigger, scope: ImportScope, node: str
) -> Callable[[Any], Awaitable[bool]] | None:
    """Return the condition of a connection trigger, or None. It holds if it is true for one of the targets.

    Raises:
        ConfigError: an import string leads nowhere.
    """
    condition = condition_of(settings.condition, scope, node)
    if condition is None:
        return None

    async def holds(contexts: Sequence[TalkContext]) -> bool:
        for context in contexts:
            if settings.target in (None, context.target.name) and await truth(condition, context):
                return True
        return False

    return holds


def _fact(passed: ConnectionProcessed) -> ConnectionFact:
    talk = passed.talk
    return ConnectionFact(
        connection=talk.name,
        sender=talk.source.name,
        ends=tuple(target.name for target in talk.targets),
        targets=tuple(target.name for target in passed.targets),
        message=passed.message,
        conversation_id=passed.conversation_id,
        queued=passed.queued,
        was_queued=talk.queued and not passed.queued,
        freeze=partial(_contexts, passed),
    )


def _contexts(passed: ConnectionProcessed) -> tuple[TalkContext, ...]:
    """Return the contexts of a condition, with the current statistics of the connection."""
    talk, stats = passed.talk, passed.talk.stats.frozen()
    return tuple(
        TalkContext(passed.message, target, stats, talk.registry, talk) for target in passed.targets or talk.targets
    )
