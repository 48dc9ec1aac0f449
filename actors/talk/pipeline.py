"""The way of one message through a connection, written once for functions that answer at once and for those that wait.

Each step is a generator that yields what has to be awaited. As long as nothing does, it runs to its end where it is
called, without a task; see `actors.talk.talk_actor` for the rest.
"""

from collections.abc import Awaitable, Generator, Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final

from actors.talk.context import Condition, TalkContext
from actors.talk.pending import RoutedMessage
from actors.talk.talk_events import failed
from actors.talk.transform import Message, as_message, is_message
from protocols.errors import ConditionError, TransformError
from protocols.node import Target

if TYPE_CHECKING:
    from actors.talk.talk import Talk

Steps = Generator[Awaitable[Any], Any, None]
Targets = Sequence[Target]

OPEN: Final = ""
STOP: Final = "stop"
EXIT: Final = "exit"


def check_conditions(talk: "Talk", parcel: RoutedMessage) -> Generator[Awaitable[Any], Any, tuple[str, Targets]]:
    """Ask the exit and stop conditions about a message as it came; return what they say, and who may get it."""
    left = list(talk.targets)
    for step, condition in ((EXIT, talk.exit_condition), (STOP, talk.stop_condition)):
        if condition is None:
            continue
        for target in tuple(left):
            verdict = yield from _ask(talk, parcel, step, condition, parcel.message, target)
            if verdict:
                return step, left
            if verdict is None:
                left.remove(target)
    return OPEN, left


def apply_transform(
    talk: "Talk", parcel: RoutedMessage, targets: Targets | None = None
) -> Generator[Awaitable[Any], Any, Message | None]:
    """Transform a message; None when that failed, which keeps it from the targets (None for all)."""
    message = parcel.message
    if talk.transform_fn is None:
        return message
    try:
        result: object = talk.transform_fn(message)
        if not is_message(result) and isawaitable(result):
            result = yield result
        return as_message(result, message, talk.name)
    except Exception as error:
        failed(talk, parcel, "transform", _wrapped(TransformError, talk, "transform", error, message), targets)
        return None


def apply_filter(
    talk: "Talk", parcel: RoutedMessage, message: Message, targets: Targets
) -> Generator[Awaitable[Any], Any, Targets]:
    """Return the targets that the filter lets a message through to."""
    condition = talk.filter_condition
    if condition is None:
        return targets
    kept: list[Target] = []
    for target in targets:
        if (yield from _ask(talk, parcel, "filter", condition, message, target)):
            kept.append(target)  # noqa: PERF401 - a comprehension cannot yield
    return kept


def _ask(
    talk: "Talk", parcel: RoutedMessage, step: str, condition: Condition, message: Message, target: Target
) -> Generator[Awaitable[Any], Any, bool | None]:
    """Return what a condition says, None when it failed."""
    try:
        verdict = condition(TalkContext(message, target, talk.stats, talk.registry, talk))
        if verdict is True or verdict is False:
            return verdict
        if isawaitable(verdict):
            verdict = yield verdict
        return bool(verdict)
    except Exception as error:
        failed(talk, parcel, step, _wrapped(ConditionError, talk, f"{step} condition", error, message), (target,))
        return None


def _wrapped(
    kind: type[ConditionError] | type[TransformError], talk: "Talk", part: str, error: Exception, message: Message
) -> Exception:
    if isinstance(error, kind):
        return error
    text = f"talk {talk.name!r}: the {part} raised {type(error).__name__}: {error}"
    wrapped = kind(text, node=talk.source.name, message=message)
    wrapped.__cause__ = error
    return wrapped


async def walk(steps: Generator[Awaitable[Any], Any, Any], awaited: Awaitable[Any] | None = None) -> Any:
    """Go through steps to their end, awaiting what they yield, and return their result."""
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
