"""The projection: totals per node and run, states, bounds."""

import gc

import pytest

from actors.stats.event_totals import EventTotals
from actors.stats.projection import OTHERS, NodeState, Projection
from protocols.brief_events import RunAnswered
from protocols.events import (
    ActorCrashed,
    ActorStarted,
    ActorStopped,
    ChildGaveUp,
    ChildRestarted,
    Event,
    MessageSent,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
)


def projection_of(*events: Event, most_nodes: int = 10, most_runs: int = 10) -> Projection:
    projection = Projection(most_nodes=most_nodes, most_runs=most_runs)
    for event in events:
        projection.add(event)
    return projection


@pytest.mark.parametrize(
    ("events", "state", "running"),
    [
        ((), NodeState.IDLE, 0),
        ((RunStarted(actor="a", run_id="1"),), NodeState.RUNNING, 1),
        ((RunStarted(actor="a", run_id="1"), RunStarted(actor="a", run_id="2")), NodeState.RUNNING, 2),
        ((RunStarted(actor="a", run_id="1"), RunCompleted(actor="a", run_id="1")), NodeState.DONE, 0),
        ((RunStarted(actor="a", run_id="1"), RunFailed(actor="a", run_id="1")), NodeState.FAILED, 0),
        ((RunStarted(actor="a", run_id="1"), RunCancelled(actor="a", run_id="1")), NodeState.FAILED, 0),
        ((RunStarted(actor="a", run_id="1"), ActorCrashed(actor="a")), NodeState.FAILED, 0),
        ((ActorCrashed(actor="a"), ChildRestarted(actor="pool", child="a")), NodeState.IDLE, 0),
        ((ActorCrashed(actor="a"), ChildGaveUp(actor="pool", child="a")), NodeState.STOPPED, 0),
        ((RunCompleted(actor="a", run_id="1"), ActorStopped(actor="a")), NodeState.DONE, 0),
    ],
)
def test_the_state_of_a_node_follows_its_events(events: tuple[Event, ...], state: NodeState, running: int) -> None:
    node = projection_of(*events).node("a")

    assert (node.state, node.running) == (state, running)


def test_a_restart_counts_for_the_child_and_not_for_its_supervisor() -> None:
    projection = projection_of(ChildRestarted(actor="pool", child="a"), ChildRestarted(actor="pool", child="a"))

    assert (projection.node("a").counters.restarts, projection.node("pool").counters.restarts) == (2, 0)


def test_the_text_of_a_failure_is_kept_and_cut() -> None:
    node = projection_of(RunFailed(actor="a", run_id="1", error_type="ValueError", error="x" * 10_000)).node("a")

    assert node.last_error.startswith("ValueError: xxx")
    assert len(node.last_error) <= 200


def test_runs_inside_of_a_run_count_for_the_one_that_the_user_started() -> None:
    snapshot = projection_of(
        RunStarted(actor="team", run_id="root"),
        RunStarted(actor="a", run_id="inner", parent_run_id="root"),
        RunStarted(actor="b", run_id="deepest", parent_run_id="inner"),
        MessageSent(actor="b", run_id="deepest", input_tokens=5),
        RunStarted(actor="a", run_id="other"),
    ).snapshot()

    assert {run: (counters.runs, counters.input_tokens) for run, counters in snapshot.runs.items()} == {
        "root": (3, 5),
        "other": (1, 0),
    }


def test_the_sum_over_the_nodes_is_the_total() -> None:
    events = [MessageSent(actor=f"n{number % 3}", run_id=str(number), output_tokens=number) for number in range(20)]
    snapshot = projection_of(*events).snapshot()

    assert snapshot.total == EventTotals(events).snapshot()
    assert sum(node.counters.output_tokens for node in snapshot.nodes) == snapshot.total.output_tokens


def test_nodes_beyond_the_bound_are_counted_together() -> None:
    snapshot = projection_of(
        *(RunStarted(actor=f"n{number}", run_id=str(number)) for number in range(5)), most_nodes=2
    ).snapshot()

    assert [(node.name, node.counters.runs) for node in snapshot.nodes] == [("n0", 1), ("n1", 1), (OTHERS, 3)]


def test_the_oldest_runs_are_forgotten_and_stay_in_the_total() -> None:
    snapshot = projection_of(
        *(RunStarted(actor="a", run_id=str(number)) for number in range(5)), most_runs=2
    ).snapshot()

    assert list(snapshot.runs) == ["3", "4"]
    assert snapshot.total.runs == 5


def test_lives_of_actors_that_never_ran_anything_take_no_place() -> None:
    assert projection_of(ActorStarted(actor="x"), ActorStopped(actor="y")).snapshot().nodes == ()


def test_a_node_that_was_never_heard_of_has_zeros() -> None:
    assert projection_of().node("ghost").counters.messages == 0


@pytest.mark.parametrize("bounds", [{"most_nodes": 0}, {"most_runs": 0}, {"most_nodes": -1}])
def test_a_bound_that_holds_nothing_is_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        Projection(**bounds)


def test_the_numbers_of_nodes_are_nothing_to_the_garbage_collector() -> None:
    """A scrape of 1,000 nodes would else lead to a look at all objects of the process every few times."""
    projection = Projection()
    projection.add(RunAnswered("a", "r", 1, 0.5, is_whole=True))
    (node,) = projection.snapshot().nodes

    assert not any(map(gc.is_tracked, (node, node.counters, node.durations)))
