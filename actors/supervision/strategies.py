"""Decisions of a supervisor: whether a child comes back, and which siblings stop and start with it.

Pure functions over the children in start order. The rules are those of Erlang/OTP's `supervisor`:

| restart policy | normal, shutdown | crash, killed | terminated, ignored | bystander |
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

Restart = Literal["permanent", "transient", "temporary"]
"""Whether a child comes back after it ended."""
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
"""Which children restart together."""
AutoShutdown = Literal["never", "any_significant", "all_significant"]
"""Whether the end of significant children ends their supervisor."""
Operation = Literal["start", "terminate", "restart", "delete"]
"""What can be asked of a supervisor about one child."""


class ChildState(StrEnum):
    """Where a child is between two incarnations."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    """Ended, and will be started again: waiting for its delay, its siblings or its next attempt."""
    STOPPED = "stopped"
    """Ended, and stays so unless somebody asks for it."""


LIVE: Final = frozenset({ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING})
"""States in which an incarnation exists that has to be stopped or waited for."""


class Ending(StrEnum):
    """Why an incarnation ended, as far as its supervisor cares."""

    NORMAL = "normal"
    SHUTDOWN = "shutdown"
    """An orderly end that somebody asked for, for example a supervisor's automatic shutdown."""
    CRASH = "crash"
    """An exception, a failed start, or a supervisor that gave up."""
    KILLED = "killed"
    TERMINATED = "terminated"
    """Stopped through its supervisor's `terminate_child`."""
    IGNORED = "ignored"
    """Its start succeeded without an actor."""
    BYSTANDER = "bystander"
    """Stopped because a sibling's restart includes it."""


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
    def state(self) -> ChildState:
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


_ASKED_FOR: Final = frozenset({Ending.NORMAL, Ending.SHUTDOWN})
_BY_SUPERVISOR: Final = frozenset({Ending.TERMINATED, Ending.IGNORED, Ending.BYSTANDER})


def decide(restart: Restart, ending: Ending) -> Decision:
    """Return what becomes of a child with this policy after this ending."""
    if restart == "temporary":
        return Decision.REMOVE
    if ending in {Ending.TERMINATED, Ending.IGNORED}:
        return Decision.KEEP
    if restart == "transient" and ending in _ASKED_FOR:
        return Decision.KEEP
    return Decision.RESTART


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
    auto_shutdown: AutoShutdown, ended: SupervisedChild, ending: Ending, siblings: Iterable[SupervisedChild]
) -> bool:
    """Return whether a child that ended takes its supervisor with it.

    Only a significant child's own end counts, and only when it is not restarted: never an end through the
    supervisor. all_significant waits for the last significant one; one that is being restarted still counts as there.

    Args:
        auto_shutdown: The supervisor's setting.
        ended: The child that ended.
        ending: Why it ended.
        siblings: The other children.
    """
    if auto_shutdown == "never" or not ended.significant or ending in _BY_SUPERVISOR:
        return False
    if decide(ended.restart, ending) is Decision.RESTART:
        return False
    if auto_shutdown == "any_significant":
        return True
    return not any(child.significant and child.state is not ChildState.STOPPED for child in siblings)


def answer(operation: Operation, state: ChildState | None) -> Answer:
    """Return what a supervisor answers to an operation on a child in this state; `None` stands for no such child."""
    if state is None:
        return Answer.OK if operation == "start" else Answer.NOT_FOUND
    match operation:
        case "start":
            return Answer.ALREADY_STARTED if state in LIVE else Answer.ALREADY_PRESENT
        case "terminate":
            return Answer.OK
        case "restart" | "delete":
            return _answer_for_present(state)
        case _:
            assert_never(operation)


def _answer_for_present(state: ChildState) -> Answer:
    if state is ChildState.STOPPED:
        return Answer.OK
    return Answer.RESTARTING if state is ChildState.RESTARTING else Answer.RUNNING
