"""Decisions of a supervisor: whether a child restarts, and which siblings stop and start with it.

All functions are pure and take the children in start order. The rules are those of Erlang/OTP's `supervisor`:

| restart policy | normal, shutdown | crash, killed, start failed | ignore, by request | for a sibling |
|---|---|---|---|---|
| permanent | restart | restart | keep | restart |
| transient | keep | restart | keep | restart |
| temporary | remove | remove | remove | remove |

| strategy | stop (reverse start order) | start (start order) |
|---|---|---|
| one_for_one | none | the failed child |
| one_for_all | all live children | all |
| rest_for_one | live children after the failed child | the failed child and those after it |

As in Erlang, a group restart also starts siblings that were not running, and removes temporary ones.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import dropwhile
from typing import Final, Literal, Protocol

import msgspec

from protocols.control import ActorState, ExitReason

Restart = Literal["permanent", "transient", "temporary"]
"""Whether a child restarts after it ended."""
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
"""Which children restart together."""
AutoShutdown = Literal["never", "any_significant", "all_significant"]
"""Whether the end of significant children ends their supervisor."""
Operation = Literal["start", "terminate", "restart", "delete", "update", "replace"]
"""Operations of a supervisor on one child."""
EndedBy = Literal["itself", "request", "sibling"]
"""Cause of a child's end: the child itself, `terminate_child`, or a group restart that a sibling caused."""
LIVE: Final = frozenset({ActorState.STARTING, ActorState.RUNNING, ActorState.STOPPING})
"""States in which an incarnation exists that has to be stopped or waited for.

A child in state restarting has none: it waits for its delay, its siblings or its next attempt.
"""


class Answer(StrEnum):
    """The result of an operation on one child."""

    OK = "ok"
    ALREADY_STARTED = "already_started"
    ALREADY_PRESENT = "already_present"
    RUNNING = "running"
    RESTARTING = "restarting"
    NOT_FOUND = "not_found"


class _Child(Protocol):
    """The facts about a child that the decisions need; see `ChildState`."""

    @property
    def restart(self) -> Restart: ...
    @property
    def state(self) -> ActorState: ...
    @property
    def significant(self) -> bool: ...


class RestartPlan(msgspec.Struct, frozen=True):
    """The children that stop, are removed and start, each in the order of execution."""

    stop: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    start: tuple[str, ...] = ()


_ORDERLY: Final = frozenset({ExitReason.NORMAL, ExitReason.SHUTDOWN})


def restarts(restart: Restart, reason: ExitReason, ended_by: EndedBy = "itself") -> bool:
    """Return True if a child with this policy that ended for this reason restarts."""
    if ended_by == "sibling":
        return restart != "temporary"
    if restart == "temporary" or ended_by == "request" or reason is ExitReason.IGNORE:
        return False
    return restart == "permanent" or reason not in _ORDERLY


def plan_restart(strategy: Strategy, children: Mapping[str, _Child], failed: str) -> RestartPlan:
    """Return the plan that restarts `failed`, which ended or could not start.

    If another child fails to start during a plan, the next attempt is the plan for *that* child: one_for_all stops the
    children that have restarted, rest_for_one leaves the children before it running. For one_for_one the plan costs one
    look-up, whatever the number of children.

    Args:
        strategy: which children restart together.
        children: all children by name, in start order.
        failed: name of the child to restart.

    Raises:
        KeyError: `failed` is not among the children.
        ValueError: `failed` is temporary, and temporary children never restart.
    """
    if children[failed].restart == "temporary":
        raise ValueError(f"child {failed!r} is temporary and is never restarted")
    if strategy == "one_for_one":
        return RestartPlan(stop=stop_order({failed: children[failed]}), start=(failed,))
    names = children if strategy == "one_for_all" else dropwhile(lambda name: name != failed, children)
    group = {name: children[name] for name in names}
    remove = tuple(name for name, child in group.items() if child.restart == "temporary")
    start = tuple(name for name, child in group.items() if child.restart != "temporary")
    return RestartPlan(stop_order(group), remove, start)


def stop_order(children: Mapping[str, _Child]) -> tuple[str, ...]:
    """Return the live children, the last started first: the order of a shutdown and of a failed first start."""
    return tuple(name for name in reversed(tuple(children)) if children[name].state in LIVE)


def ends_supervisor(auto_shutdown: AutoShutdown, ended: _Child, reason: ExitReason, siblings: Iterable[_Child]) -> bool:
    """Return True if a child that ended by itself ends its supervisor.

    Only for a child that ended by itself: an end by request or for a sibling never counts. all_significant waits for
    the last significant child; a child that restarts still counts as present.

    Args:
        auto_shutdown: the supervisor's setting.
        ended: the child that ended.
        reason: why it ended.
        siblings: the other children.
    """
    if auto_shutdown == "never" or not ended.significant or reason is ExitReason.IGNORE:
        return False
    if restarts(ended.restart, reason):
        return False
    if auto_shutdown == "any_significant":
        return True
    return not any(child.significant and child.state is not ActorState.STOPPED for child in siblings)


def answer(operation: Operation, state: ActorState | None) -> Answer:
    """Return the answer to an operation on a child in this state; `None` stands for no such child."""
    if state is None:
        return Answer.OK if operation == "start" else Answer.NOT_FOUND
    if operation == "start":
        return Answer.ALREADY_STARTED if state in LIVE else Answer.ALREADY_PRESENT
    if operation not in ("restart", "delete") or state is ActorState.STOPPED:
        return Answer.OK
    return Answer.RESTARTING if state is ActorState.RESTARTING else Answer.RUNNING
