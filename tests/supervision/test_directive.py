"""Which exception leads to what: restart, resume, stop or escalate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.supervision.child import ChildSpec, ChildSpecError, check_specs
from actors.supervision.directive import directive_for
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from actors.testing.probe import TestProbe
from actors.testing.settle import settle
from protocols.control import DeadLetterReason, ExitReason
from protocols.events import ActorCrashed, ChildGaveUp, ChildRestarted
from tests.supervision.children import Log, Member, Plain, child, member, ref_of, states, supervise

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem

MAPPED: dict[type[BaseException], Any] = {
    OSError: "stop",
    ValueError: "resume",
    KeyError: "escalate",
    LookupError: "resume",
    FileNotFoundError: "restart",
}


class Stateful(Member):
    """Raises what it is sent, and remembers everything else."""

    async def on_receive(self, message: Any) -> Any:
        """Raise or remember."""
        if isinstance(message, BaseException):
            self.got.append(type(message).__name__)
            raise message
        return await super().on_receive(message)


def stateful(log: Log, name: str, **options: Any) -> ChildSpec:
    """Return the spec of a child with the mapping of this file."""
    options.setdefault("on_exception", MAPPED)
    return ChildSpec(Stateful, args=(log, name), name=name, **options)


@pytest.mark.conformance("R41")
@pytest.mark.parametrize(
    ("error", "directive"),
    [
        (OSError(), "stop"),
        (PermissionError(), "stop"),
        (FileNotFoundError(), "restart"),
        (ValueError(), "resume"),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "no"), "resume"),
        (IndexError(), "resume"),
        (KeyError(), "escalate"),
        (RuntimeError(), "restart"),
        (SystemExit(), "restart"),
        (ExceptionGroup("one", [ValueError()]), "resume"),
        (ExceptionGroup("two", [ValueError(), RuntimeError()]), "restart"),
        (ExceptionGroup("three", [ValueError(), RuntimeError(), PermissionError()]), "stop"),
        (ExceptionGroup("deep", [ValueError(), ExceptionGroup("inner", [OSError(), KeyError()])]), "escalate"),
        (BaseExceptionGroup("base", [ValueError(), SystemExit()]), "restart"),
    ],
)
def test_the_most_specific_class_decides_and_in_a_group_the_most_severe_answer(
    error: BaseException, directive: str
) -> None:
    assert directive_for(error, MAPPED) == directive


@pytest.mark.conformance("R41")
def test_an_entry_for_groups_is_about_the_group_as_a_whole() -> None:
    group = ExceptionGroup("both", [KeyError(), ValueError()])
    assert directive_for(group, {**MAPPED, ExceptionGroup: "resume"}) == "resume"
    assert directive_for(group, {**MAPPED, BaseExceptionGroup: "stop"}) == "stop"
    assert directive_for(group, {**MAPPED, Exception: "resume"}) == "escalate"


@pytest.mark.conformance("R41")
def test_groups_may_be_nested_as_deep_as_anybody_likes() -> None:
    error: Any = KeyError()
    for _ in range(20_000):
        error = ExceptionGroup("more", [error])
    assert directive_for(error, MAPPED) == "escalate"
    while not isinstance(error, KeyError):  # taken apart from outside, or its end recurses in the interpreter
        error = error.exceptions[0]


@pytest.mark.conformance("R41")
@given(
    st.sampled_from([KeyError, IndexError, LookupError, FileNotFoundError, OSError, ValueError, Exception]),
    st.dictionaries(
        st.sampled_from([BaseException, Exception, LookupError, KeyError, OSError, ValueError]),
        st.sampled_from(["restart", "resume", "stop", "escalate"]),
    ),
)
def test_no_mapped_class_lies_between_an_exception_and_the_one_that_decides(kind: Any, mapping: Any) -> None:
    matching = [each for each in mapping if issubclass(kind, each)]
    nearest = [each for each in matching if not any(issubclass(o, each) and o is not each for o in matching)]
    expected = mapping[nearest[0]] if nearest else "restart"
    assert directive_for(kind(), mapping) == expected


@pytest.mark.conformance("R41")
async def test_resume_keeps_the_state_answers_the_asker_and_counts_no_restart(actor_system: ActorSystem) -> None:
    told: list[Any] = []
    actor_system.events.subscribe(told.append, [ActorCrashed, ChildRestarted])
    sup = await supervise(actor_system, [stateful(Log(), "a")], intensity=RestartIntensity(limit=0, period=1.0))
    ref = await ref_of(sup, "a")
    ref.tell("before")

    with pytest.raises(IndexError, match="no such row"):
        await ref.ask(IndexError("no such row"))
    ref.tell(ValueError("told"))
    assert await ref.ask("got") == ["before", "IndexError", "ValueError"]

    node = actor_system.tree()[0].children[0]
    assert (node.failed, node.restarts, node.incarnation, node.state) == (2, 0, 1, "running")
    assert node.last_failure == "ValueError: told"
    assert node.accepted == node.handled + node.failed + node.dead_lettered
    assert told == []
    assert actor_system.dead_letters.counts == {DeadLetterReason.FAILED: 1}


@pytest.mark.conformance("R41")
async def test_resume_goes_on_with_what_waits_in_order_even_while_it_drains(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, [stateful(log, "a", restart="transient")])
    ref = await ref_of(sup, "a")
    answers = [ref.ask(message) for message in ("one", ValueError("two"), "three")]
    await ref.stop()

    assert [answers[0].result(), answers[2].result()] == ["one", "three"]
    assert isinstance(answers[1].exception(), ValueError)
    assert log.lines == ["+a", "-a"]


@pytest.mark.conformance("R41")
@pytest.mark.parametrize(
    ("restart", "state"), [("permanent", {"a": "stopped"}), ("transient", {"a": "stopped"}), ("temporary", {})]
)
async def test_stop_ends_a_child_whatever_its_restart_policy(
    actor_system: ActorSystem, restart: Any, state: dict[str, str]
) -> None:
    log = Log()
    sup = await supervise(actor_system, [stateful(log, "a", restart=restart), member(log, "b")])
    ref = await ref_of(sup, "a")
    probe = TestProbe(actor_system)
    await probe.watch(ref)
    queued = ref.ask(PermissionError("no")), ref.ask("behind")

    ended = await probe.expect_terminated(ref)
    assert (ended.reason, type(ended.cause)) == (ExitReason.CRASH, PermissionError)
    assert isinstance(queued[0].exception(), PermissionError)
    assert queued[1].exception() is not None
    assert await states(sup) == {**state, "b": "running"}
    assert log.lines == ["+a", "+b"]


@pytest.mark.conformance("R41")
async def test_a_child_that_was_stopped_by_an_exception_can_be_started_again(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, [stateful(Log(), "a")])
    (await ref_of(sup, "a")).tell(OSError("disk"))
    await settle()

    ref = await sup.proxy().restart_child("a")
    assert ref is not None
    assert await ref.ask("got") == []


@pytest.mark.conformance("R41", "R55")
async def test_a_significant_child_that_an_exception_stops_ends_its_supervisor(actor_system: ActorSystem) -> None:
    spec = stateful(Log(), "a", restart="transient", significant=True)
    sup = await supervise(actor_system, [spec], auto_shutdown="any_significant")
    (await ref_of(sup, "a")).tell(OSError("disk"))
    await settle()

    assert not sup.is_alive()


@pytest.mark.conformance("R41")
async def test_escalate_fails_the_supervisor_with_the_same_exception(actor_system: ActorSystem) -> None:
    told: list[Any] = []
    actor_system.events.subscribe(told.append, [ChildGaveUp])
    log = Log()
    sup = await supervise(actor_system, [member(log, "b"), stateful(log, "a"), member(log, "c")], name="sup")
    probe = TestProbe(actor_system)
    await probe.watch(sup)
    error = KeyError("row")

    (await ref_of(sup, "a")).tell(error)
    ended = await probe.expect_terminated(sup)
    assert (ended.reason, ended.cause) == (ExitReason.CRASH, error)
    assert log.lines == ["+b", "+a", "+c", "-c", "-b"]
    assert [(event.child, event.reason) for event in told] == [("a", "crash (KeyError: 'row')")]


@pytest.mark.conformance("R41")
async def test_an_escalated_exception_meets_the_mapping_of_the_supervisor_above(actor_system: ActorSystem) -> None:
    def inner(on_exception: dict[type[BaseException], Any]) -> ChildSpec:
        from_below = partial_supervisor([stateful(Log(), "a")])
        return ChildSpec(from_below, name="inner", on_exception=on_exception)

    top = await supervise(actor_system, [inner({KeyError: "stop"}), ChildSpec(Plain, name="other")])
    before: ActorRef[Supervisor] = await ref_of(top, "inner")
    (await ref_of(before, "a")).tell(KeyError("row"))
    await settle()
    assert await states(top) == {"inner": "stopped", "other": "running"}

    again = await supervise(actor_system, [inner({})])
    before = await ref_of(again, "inner")
    (await ref_of(before, "a")).tell(KeyError("row"))
    await settle()
    assert await states(again) == {"inner": "running"}
    assert (await child(again, "inner")).incarnation == 2


def partial_supervisor(specs: list[ChildSpec]) -> Any:
    """Return what makes a supervisor of these children."""

    class Inner(Supervisor):
        def __init__(self) -> None:
            super().__init__(specs, backoff=None)

    return Inner


@pytest.mark.conformance("R41", "R105")
async def test_an_exit_that_is_resumed_still_ends_the_system(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, [stateful(Log(), "a", on_exception={SystemExit: "resume"})])
    (await ref_of(sup, "a")).tell(SystemExit(3))
    await settle()

    assert isinstance(actor_system.exit_reason, SystemExit)


@pytest.mark.conformance("R41", "R57")
@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        ([OSError], "mapping of exception types"),
        ("stop", "mapping of exception types"),
        ({"OSError": "stop"}, "exception types to one of"),
        ({int: "stop"}, "exception types to one of"),
        ({OSError("x"): "stop"}, "exception types to one of"),
        ({OSError: "stopp"}, "'escalate', not .*stopp"),
        ({OSError: None}, "not .*None"),
        ({OSError: ["stop"]}, "one of 'restart', 'resume', 'stop', 'escalate'"),
    ],
)
def test_an_impossible_mapping_is_refused_naming_child_and_field(mapping: Any, told: str) -> None:
    with pytest.raises(ChildSpecError, match=told) as caught:
        check_specs([{"actor_class": Plain, "name": "rows", "on_exception": mapping}])
    assert (caught.value.child, caught.value.field) == ("rows", "on_exception")


def test_the_mapping_of_a_spec_does_not_change_with_the_one_it_was_made_from() -> None:
    given_mapping: dict[type[BaseException], Any] = {OSError: "stop"}
    spec = ChildSpec(Plain, on_exception=given_mapping)
    given_mapping[OSError] = "resume"
    assert spec.on_exception == {OSError: "stop"}
    assert hash(spec) == hash(ChildSpec(Plain, on_exception={OSError: "stop"}))
