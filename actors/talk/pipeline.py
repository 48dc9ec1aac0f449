"""The steps of one message through a connection, written once for plain and for asynchronous functions.

Each step is a generator that yields what has to be awaited. A message for which nothing is awaited runs to its end at
once, without a task; see `actors.talk.talk_actor` for the other messages.
"""

from collections.abc import Awaitable, Generator, Sequence
from inspect import isawaitable
from typing import Any, Final

from actors.runtime.log import error_line
from actors.talk.context import Condition, TalkContext, TalkView
from actors.talk.pending import RoutedMessage
from actors.talk.talk_events import failed
from actors.talk.transform import Message, as_message
from protocols.errors import ConditionError, TransformError
from protocols.messages import is_message
from protocols.node import Target

Steps = Generator[Awaitable[Any], Any, None]
Targets = Sequence[Target]

OPEN: Final = ""
STOP: Final = "stop"
EXIT: Final = "exit"


def check_conditions(talk: TalkView, routed: RoutedMessage) -> Generator[Awaitable[Any], Any, tuple[str, Targets]]:
    """Ask the exit and stop conditions about the original message; return the first true one, and the targets left."""
    left = list(talk.targets)
    for step, condition in ((EXIT, talk.exit_condition), (STOP, talk.stop_condition)):
        if condition is None:
            continue
        for target in tuple(left):
            verdict = yield from _ask(talk, routed, step, condition, routed.message, target)
            if verdict:
                return step, left
            if verdict is None:
                left.remove(target)
    return OPEN, left


def apply_transform(
    talk: TalkView, routed: RoutedMessage, targets: Targets | None = None
) -> Generator[Awaitable[Any], Any, Message | None]:
    """Transform a message; None if that failed, so that the targets (None for all) do not get it."""
    message = routed.message
    if talk.transform_fn is None:
        return message
    try:
        result: object = talk.transform_fn(message)
        if not is_message(result) and isawaitable(result):
            result = yield result
        return as_message(result, message, talk.name)
    except Exception as error:
        failed(talk, routed, "transform", _wrapped(TransformError, talk, "transform", error, message), targets)
        return None


def apply_filter(
    talk: TalkView, routed: RoutedMessage, message: Message, targets: Targets
) -> Generator[Awaitable[Any], Any, Targets]:
    """Return the targets for which the filter lets a message through."""
    condition = talk.filter_condition
    if condition is None:
        return targets
    kept: list[Target] = []
    for target in targets:
        if (yield from _ask(talk, routed, "filter", condition, message, target)):
            kept.append(target)  # noqa: PERF401 - a comprehension cannot yield
    return kept


def _ask(
    talk: TalkView, routed: RoutedMessage, step: str, condition: Condition, message: Message, target: Target
) -> Generator[Awaitable[Any], Any, bool | None]:
    """Return the truth of a condition; None if it failed."""
    try:
        verdict = condition(TalkContext(message, target, talk.stats, talk.registry, talk))
        if verdict is True or verdict is False:
            return verdict
        if isawaitable(verdict):
            verdict = yield verdict
        return bool(verdict)
    except Exception as error:
        failed(talk, routed, step, _wrapped(ConditionError, talk, f"{step} condition", error, message), (target,))
        return None


def _wrapped(
    kind: type[ConditionError] | type[TransformError], talk: TalkView, part: str, error: Exception, original: Message
) -> Exception:
    if isinstance(error, kind):
        return error
    message = f"talk {talk.name!r}: the {part} raised {error_line(error)}"
    wrapped = kind(message, node=talk.source.name, message=original)
    wrapped.__cause__ = error
    return wrapped


async def walk(steps: Generator[Awaitable[Any], Any, Any], awaited: Awaitable[Any] | None = None) -> Any:
    """Run steps to their end, await what they yield, and return their result.

    Args:
        steps: the steps; they may have begun.
        awaited: what they have yielded last, if they have begun.
    """
    try:
        if awaited is None:
            awaited = next(steps)
        while True:
            try:
                value = await awaited
            except Exception as error:  # the step that yielded it decides
                awaited = steps.throw(error)
            else:
                awaited = steps.send(value)
    except StopIteration as end:
        return end.value
