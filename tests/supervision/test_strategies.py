"""Decisions about children that ended, against the tables of Erlang's supervisor."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.supervision.strategies import (
    LIVE,
    Answer,
    AutoShutdown,
    Operation,
    Restart,
    RestartPlan,
    Strategy,
    answer,
    ends_supervisor,
    plan_restart,
    restarts,
    stop_order,
)
from protocols.control import ActorState, ExitReason

RESTARTS: tuple[Restart, ...] = ("permanent", "transient", "temporary")
RUNNING, STOPPED, RESTARTING = ActorState.RUNNING, ActorState.STOPPED, ActorState.RESTARTING


@dataclass(frozen=True)
class Child:
    """A snapshot of a child."""

    restart: Restart = "permanent"
    state: ActorState = RUNNING
    significant: bool = False


def running(names: str, **others: Child) -> dict[str, Child]:
    """Return permanent running children, one per letter, some of them replaced."""
    return {name: others.get(name, Child()) for name in names}


DEAD = Child(state=RESTARTING)

R, K = True, False
DECISIONS: dict[ExitReason, tuple[bool, bool, bool]] = {
    ExitReason.NORMAL: (R, K, K),
    ExitReason.SHUTDOWN: (R, K, K),
    ExitReason.CRASH: (R, R, K),
    ExitReason.KILLED: (R, R, K),
    ExitReason.START_FAILED: (R, R, K),
    ExitReason.IGNORE: (K, K, K),
    ExitReason.ALREADY_DEAD: (R, R, K),
}


@pytest.mark.conformance("R43")
@pytest.mark.parametrize("reason", list(ExitReason))
def test_restart_policy_decides_by_how_a_child_ended(reason: ExitReason) -> None:
    assert tuple(restarts(restart, reason) for restart in RESTARTS) == DECISIONS[reason]


@pytest.mark.conformance("R43")
@pytest.mark.parametrize("reason", list(ExitReason))
def test_a_child_ended_by_request_stays_down_whatever_its_reason(reason: ExitReason) -> None:
    assert tuple(restarts(restart, reason, "request") for restart in RESTARTS) == (K, K, K)


@pytest.mark.conformance("R49")
@pytest.mark.parametrize("reason", list(ExitReason))
def test_a_child_stopped_for_a_sibling_comes_back_unless_temporary(reason: ExitReason) -> None:
    assert tuple(restarts(restart, reason, "sibling") for restart in RESTARTS) == (R, R, K)


@pytest.mark.conformance("R44")
def test_one_for_one_touches_only_the_failed_child() -> None:
    plan = plan_restart("one_for_one", running("abc", b=DEAD), "b")
    assert plan == RestartPlan(start=("b",))


@pytest.mark.conformance("R45")
def test_one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() -> None:
    plan = plan_restart("one_for_all", running("abcd", b=DEAD), "b")
    assert plan == RestartPlan(stop=("d", "c", "a"), start=("a", "b", "c", "d"))


@pytest.mark.conformance("R46")
def test_rest_for_one_with_five_children_leaves_those_before_the_failed_one_alone() -> None:
    plan = plan_restart("rest_for_one", running("12345", **{"3": DEAD}), "3")
    assert plan == RestartPlan(stop=("5", "4"), start=("3", "4", "5"))


@pytest.mark.conformance("R47")
def test_one_for_all_stops_the_already_restarted_when_a_sibling_fails_to_start() -> None:
    children = running("abcd", c=DEAD, d=Child(state=STOPPED))
    plan = plan_restart("one_for_all", children, "c")
    assert plan == RestartPlan(stop=("b", "a"), start=("a", "b", "c", "d"))


@pytest.mark.conformance("R48")
def test_rest_for_one_goes_on_from_the_sibling_that_failed_to_start() -> None:
    children = running("abcd", c=DEAD, d=Child(state=STOPPED))
    plan = plan_restart("rest_for_one", children, "c")
    assert plan == RestartPlan(start=("c", "d"))


@pytest.mark.conformance("R49")
@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_temporary_bystander_is_stopped_and_forgotten(strategy: Strategy) -> None:
    plan = plan_restart(strategy, running("abc", a=DEAD, b=Child("temporary")), "a")
    assert plan == RestartPlan(stop=("c", "b"), remove=("b",), start=("a", "c"))


def test_a_temporary_child_before_the_failed_one_survives_rest_for_one() -> None:
    plan = plan_restart("rest_for_one", running("abc", a=Child("temporary"), b=DEAD), "b")
    assert plan == RestartPlan(stop=("c",), start=("b", "c"))


def test_one_for_one_waits_for_a_failed_child_that_still_lives() -> None:
    children = running("ab", b=Child(state=ActorState.STOPPING))
    assert plan_restart("one_for_one", children, "b") == RestartPlan(stop=("b",), start=("b",))


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
def test_planning_refuses_a_temporary_and_an_unknown_child(strategy: Strategy) -> None:
    with pytest.raises(ValueError, match="'a' is temporary"):
        plan_restart(strategy, {"a": Child("temporary")}, "a")
    with pytest.raises(KeyError, match="b"):
        plan_restart(strategy, {"a": Child()}, "b")


_CHILDREN = st.dictionaries(
    st.integers(0, 30).map(str),
    st.builds(Child, restart=st.sampled_from(RESTARTS), state=st.sampled_from(ActorState)),
    min_size=1,
    max_size=12,
)
_STRATEGIES = st.sampled_from(("one_for_one", "one_for_all", "rest_for_one"))


@given(children=_CHILDREN, strategy=_STRATEGIES, data=st.data())
def test_every_plan_keeps_the_order_and_leaves_nobody_half_treated(
    children: dict[str, Child], strategy: Strategy, data: st.DataObject
) -> None:
    failed = data.draw(st.sampled_from(list(children)))
    children[failed] = Child("permanent", RESTARTING)
    plan = plan_restart(strategy, children, failed)
    order = list(children)
    assert list(plan.start) == [name for name in order if name in plan.start]
    assert list(plan.stop) == [name for name in reversed(order) if name in plan.stop]
    assert failed in plan.start
    assert not set(plan.start) & set(plan.remove)
    assert all(children[name].state in LIVE for name in plan.stop)
    assert set(plan.stop) <= set(plan.start) | set(plan.remove)
    assert all(children[name].restart == "temporary" for name in plan.remove)


@given(children=_CHILDREN, data=st.data())
def test_rest_for_one_at_the_first_child_is_one_for_all(children: dict[str, Child], data: st.DataObject) -> None:
    first = next(iter(children))
    children[first] = Child(data.draw(st.sampled_from(("permanent", "transient"))), RESTARTING)
    assert plan_restart("rest_for_one", children, first) == plan_restart("one_for_all", children, first)


@pytest.mark.conformance("R19")
def test_stop_order_is_the_reverse_start_order_of_those_that_live() -> None:
    children = {name: Child() for name in ("c7", "c3", "c10", "c2", "c5")}
    assert stop_order(children) == ("c5", "c2", "c10", "c3", "c7")
    children["c10"] = Child(state=STOPPED)
    children["c2"] = Child(state=RESTARTING)
    assert stop_order(children) == ("c5", "c3", "c7")


SIGNIFICANT = Child("transient", STOPPED, significant=True)


@pytest.mark.conformance("R55")
@pytest.mark.parametrize(
    ("mode", "reason", "siblings", "expected"),
    [
        ("never", ExitReason.NORMAL, {}, False),
        ("any_significant", ExitReason.NORMAL, {"b": Child()}, True),
        ("any_significant", ExitReason.SHUTDOWN, {"b": Child()}, True),
        ("any_significant", ExitReason.CRASH, {}, False),
        ("any_significant", ExitReason.IGNORE, {}, False),
        ("all_significant", ExitReason.NORMAL, {"b": Child()}, True),
        ("all_significant", ExitReason.NORMAL, {"b": Child("transient", RUNNING, significant=True)}, False),
        ("all_significant", ExitReason.NORMAL, {"b": Child("transient", RESTARTING, significant=True)}, False),
        ("all_significant", ExitReason.NORMAL, {"b": SIGNIFICANT}, True),
    ],
)
def test_only_an_end_without_restart_of_a_significant_child_ends_its_supervisor(
    mode: AutoShutdown, reason: ExitReason, siblings: Mapping[str, Child], expected: bool
) -> None:
    assert ends_supervisor(mode, SIGNIFICANT, reason, siblings.values()) is expected


@pytest.mark.conformance("R55")
@pytest.mark.parametrize("mode", ["any_significant", "all_significant"])
@pytest.mark.parametrize("reason", [ExitReason.NORMAL, ExitReason.SHUTDOWN, ExitReason.CRASH, ExitReason.KILLED])
def test_any_end_of_a_significant_temporary_child_counts(mode: AutoShutdown, reason: ExitReason) -> None:
    assert ends_supervisor(mode, Child("temporary", STOPPED, significant=True), reason, [])


@pytest.mark.conformance("R55")
@pytest.mark.parametrize("reason", list(ExitReason))
def test_a_child_that_is_not_significant_never_ends_its_supervisor(reason: ExitReason) -> None:
    assert not ends_supervisor("any_significant", Child("transient", STOPPED), reason, [])


@pytest.mark.conformance("R58")
@pytest.mark.parametrize(
    ("operation", "state", "expected"),
    [
        ("start", None, Answer.OK),
        ("start", RUNNING, Answer.ALREADY_STARTED),
        ("start", STOPPED, Answer.ALREADY_PRESENT),
        ("start", RESTARTING, Answer.ALREADY_PRESENT),
        ("terminate", None, Answer.NOT_FOUND),
        ("terminate", RUNNING, Answer.OK),
        ("terminate", STOPPED, Answer.OK),
        ("terminate", RESTARTING, Answer.OK),
        ("restart", None, Answer.NOT_FOUND),
        ("restart", RUNNING, Answer.RUNNING),
        ("restart", STOPPED, Answer.OK),
        ("restart", RESTARTING, Answer.RESTARTING),
        ("delete", None, Answer.NOT_FOUND),
        ("delete", RUNNING, Answer.RUNNING),
        ("delete", STOPPED, Answer.OK),
        ("delete", RESTARTING, Answer.RESTARTING),
    ],
)
def test_operations_on_one_child_answer_as_in_erlang(
    operation: Operation, state: ActorState | None, expected: Answer
) -> None:
    assert answer(operation, state) is expected
