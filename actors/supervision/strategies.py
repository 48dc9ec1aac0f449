"""Decisions of a supervisor: whether a child comes back, and which siblings stop and start with it.

Pure functions over the children in start order. The rules are those of Erlang/OTP's `supervisor`:

| restart policy | normal, shutdown | crash, killed, start failed | ignore, by request | for a sibling |
|---|---|---|---|---|
| permanent | restart | restart | keep | restart |
| transient | keep | restart | keep | restart |
| temporary | remove | remove | remove | remove |

| strategy | stop (reverse start order) | start (start order) |
|---|---|---|
| one_for_one | nobody | the failed child |
| one_for_all | everybody who lives | all |
| rest_for_one | who lives and was started after the failed child | the failed child and those after it |

As in Erlang, a group restart also starts siblings that were not running, and removes temporary ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import dropwhile
from typing import Final, Literal, Protocol, assert_never

from protocols.control import ActorState, ExitReason

Restart = Literal["permanent", "transient", "temporary"]
"""Whether a child comes back after it ended."""
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
"""Which children restart together."""
AutoShutdown = Literal["never", "any_significant", "all_significant"]
"""Whether the end of significant children ends their supervisor."""
Operation = Literal["start", "terminate", "restart", "delete", "update", "replace"]
"""What can be asked of a supervisor about one child."""


EndedBy = Literal["itself", "request", "sibling"]
"""Who ended a child: its own doing, `terminate_child`, or a group restart that a sibling caused."""
LIVE: Final = frozenset({ActorState.STARTING, ActorState.RUNNING, ActorState.STOPPING})
"""States in which an incarnation exists that has to be stopped or waited for.

A child in state restarting has none: it waits for its delay, its siblings or its next attempt.
"""


class Decision(StrEnum):
    """What becomes of a child that ended."""

    RESTART = "restart"
    KEEP = "keep"
    """Not running, its spec stays, `restart_child` can start it."""
    REMOVE = "remove"
    """Its spec is forgotten."""


class Answer(StrEnum):
    """What a supervisor says to an operation on one child."""

    OK = "ok"
    ALREADY_STARTED = "already_started"
    ALREADY_PRESENT = "already_present"
    RUNNING = "running"
    RESTARTING = "restarting"
    NOT_FOUND = "not_found"


class SupervisedChild(Protocol):
    """What the decisions need to know of a child."""

    @property
    def restart(self) -> Restart:
        """Its restart policy."""
        ...

    @property
    def state(self) -> ActorState:
        """Where it is now."""
        ...

    @property
    def significant(self) -> bool:
        """Whether its own end counts for the automatic shutdown."""
        ...


@dataclass(frozen=True, slots=True)
class RestartPlan:
    """Who stops, who is forgotten and who starts, each in the order in which it has to happen."""

    stop: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    start: tuple[str, ...] = ()


_ORDERLY: Final = frozenset({ExitReason.NORMAL, ExitReason.SHUTDOWN})


def decide(restart: Restart, reason: ExitReason, ended_by: EndedBy = "itself") -> Decision:
    """Return what becomes of a child with this policy that ended for this reason."""
    if restart == "temporary":
        return Decision.REMOVE
    if ended_by == "sibling":
        return Decision.RESTART
    if ended_by == "request" or reason is ExitReason.IGNORE:
        return Decision.KEEP
    return Decision.KEEP if restart == "transient" and reason in _ORDERLY else Decision.RESTART


def plan_restart(strategy: Strategy, children: Mapping[str, SupervisedChild], failed: str) -> RestartPlan:
    """Return the plan that brings back `failed`, which ended or whose start failed.

    When a child fails to start while a plan is carried out, the next attempt is the plan for *that* child:
    one_for_all then stops the ones that were already restarted, rest_for_one leaves those before it running.
    Costs one look-up for one_for_one, whatever the number of children.

    Args:
        strategy: Which children restart together.
        children: All children by name, in start order.
        failed: Name of the child that has to be restarted.

    Raises:
        KeyError: `failed` is not among the children.
        ValueError: `failed` is temporary, which is never restarted.
    """
    if children[failed].restart == "temporary":
        message = f"child {failed!r} is temporary and is never restarted"
        raise ValueError(message)
    match strategy:
        case "one_for_one":
            return RestartPlan(stop=stop_order({failed: children[failed]}), start=(failed,))
        case "one_for_all":
            return _plan_group(children)
        case "rest_for_one":
            rest = dropwhile(lambda name: name != failed, children)
            return _plan_group({name: children[name] for name in rest})
        case _:
            assert_never(strategy)


def _plan_group(group: Mapping[str, SupervisedChild]) -> RestartPlan:
    remove = tuple(name for name, child in group.items() if child.restart == "temporary")
    start = tuple(name for name, child in group.items() if child.restart != "temporary")
    return RestartPlan(stop_order(group), remove, start)


def stop_order(children: Mapping[str, SupervisedChild]) -> tuple[str, ...]:
    """Return the children that live, the last started first: the order of a shutdown and of a failed first start."""
    return tuple(name for name in reversed(tuple(children)) if children[name].state in LIVE)


def ends_supervisor(
    auto_shutdown: AutoShutdown, ended: SupervisedChild, reason: ExitReason, siblings: Iterable[SupervisedChild]
) -> bool:
    """Return whether a child that ended by itself takes its supervisor with it.

    Not to be asked for a child that was terminated by request or stopped for a sibling: those ends never count.
    all_significant waits for the last significant child; one that is being restarted still counts as there.

    Args:
        auto_shutdown: The supervisor's setting.
        ended: The child that ended.
        reason: Why it ended.
        siblings: The other children.
    """
    if auto_shutdown == "never" or not ended.significant or reason is ExitReason.IGNORE:
        return False
    if decide(ended.restart, reason) is Decision.RESTART:
        return False
    if auto_shutdown == "any_significant":
        return True
    return not any(child.significant and child.state is not ActorState.STOPPED for child in siblings)


def answer(operation: Operation, state: ActorState | None) -> Answer:
    """Return what a supervisor answers to an operation on a child in this state; `None` stands for no such child."""
    if state is None:
        return Answer.OK if operation == "start" else Answer.NOT_FOUND
    match operation:
        case "start":
            return Answer.ALREADY_STARTED if state in LIVE else Answer.ALREADY_PRESENT
        case "terminate" | "update" | "replace":
            return Answer.OK
        case "restart" | "delete":
            return _answer_for_present(state)
        case _:
            assert_never(operation)


def _answer_for_present(state: ActorState) -> Answer:
    if state is ActorState.STOPPED:
        return Answer.OK
    return Answer.RESTARTING if state is ActorState.RESTARTING else Answer.RUNNING
