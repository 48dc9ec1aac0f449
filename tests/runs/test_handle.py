import asyncio
from pathlib import Path

import pytest

from actors.agents.agent import Agent
from actors.runtime.system import ActorSystem
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing.clock import ManualClock
from actors.testing.models import echo_model, failing_model, scripted_model, slow_model
from actors.testing.settle import settle
from protocols.errors import EmptyPromptError, NodeNameError, NodeStoppedError, RunCancelledError, RunTimeoutError
from protocols.messages import ChatMessage
from tests.support.nodes import echo_agent


@pytest.mark.seed("S2")
async def test_run_returns_one_message_with_the_models_answer() -> None:
    message = await Agent("poet", model=scripted_model(["a rose"])).run("write")

    assert isinstance(message, ChatMessage)
    assert (message.role, message.name, message.content) == ("assistant", "poet", "a rose")


@pytest.mark.seed("S42")
async def test_the_answer_of_one_node_is_input_for_any_other() -> None:
    first = await echo_agent("a").run("q")
    second = await Agent("b", model=echo_model("b({prompt})")).run(first)
    third = await echo_agent("c").run(second)

    assert third.content == "c(b(a(q)))"


@pytest.mark.seed("S82")
async def test_an_answer_carries_the_names_that_led_to_it() -> None:
    first = await echo_agent("a").run("q")
    second = await echo_agent("b").run(first)
    third = await echo_agent("c").run(second)

    assert (first.forwarded_from, second.forwarded_from, third.forwarded_from) == ((), ("a",), ("a", "b"))
    assert first.conversation_id == third.conversation_id


async def test_a_message_of_a_user_adds_no_sender_to_the_chain() -> None:
    answer = await echo_agent("a").run(ChatMessage.user_prompt("q", "conversation"))

    assert (answer.content, answer.forwarded_from, answer.conversation_id) == ("a(q)", (), "conversation")


@pytest.mark.seed("S72")
async def test_async_with_opens_an_agent_for_runs() -> None:
    async with Agent("a", model=scripted_model(["hello"])) as agent:
        result = await agent.run("hi")

    assert result.content == "hello"


@pytest.mark.seed("S74")
async def test_gathered_runs_go_on_at_the_same_time_and_keep_their_order() -> None:
    release = asyncio.Event()
    slow, other = slow_model(release), slow_model(release)
    runs = asyncio.gather(Agent("a", model=slow).run("one"), Agent("b", model=other).run("two"))
    await slow.started.wait()
    await other.started.wait()
    release.set()

    assert [message.content for message in await runs] == ["one", "two"]


@pytest.mark.seed("S75")
async def test_concurrent_runs_of_one_agent_do_not_mix_up_their_answers() -> None:
    agent = Agent("a", model=echo_model(), session=False)

    answers = await asyncio.gather(*(agent.run(f"q{number}") for number in range(20)))

    assert [answer.content for answer in answers] == [f"q{number}" for number in range(20)]


@pytest.mark.seed("S23")
async def test_run_iter_takes_a_text_as_one_prompt() -> None:
    agent = Agent("a", model=scripted_model(["never asked"]))

    contents = [m.content async for m in agent.run_iter("analyze this", store_history=True, model=echo_model())]

    assert contents == ["analyze this"]


@pytest.mark.seed("S24")
async def test_run_iter_runs_once_per_group_in_order() -> None:
    contents = [message.content async for message in echo_agent("a").run_iter(["p1"], ["p2", "p3"], "p4")]

    assert contents == ["a(p1)", "a(p2\n\np3)", "a(p4)"]


async def test_run_iter_stops_at_the_first_error() -> None:
    agent = Agent("a", model=scripted_model(["one", ValueError("two"), "three"]))
    seen: list[str] = []

    with pytest.raises(ValueError, match="two"):
        seen.extend([message.content async for message in agent.run_iter("1", "2", "3")])

    assert len(agent.history) == 2


@pytest.mark.parametrize("prompts", [(), ("",), (" \n",), (None,), ("", " ")])
async def test_an_empty_prompt_is_refused_and_the_node_stays_usable(prompts: tuple[object, ...]) -> None:
    agent = Agent("a", model=echo_model())

    with pytest.raises(EmptyPromptError):
        await agent.run(*prompts)

    assert (await agent.run("x")).content == "x"


async def test_a_file_becomes_a_document_of_the_prompt(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("read me")

    assert "read me" in (await echo_agent("a").run("look at", file)).content


def test_a_node_needs_a_name() -> None:
    with pytest.raises(NodeNameError, match="name"):
        Agent("  ")


async def test_an_unknown_keyword_is_named_with_the_nearest_one() -> None:
    with pytest.raises(TypeError, match=r"'modle'.*did you mean 'model'"):
        await echo_agent("a").run("x", modle="test")  # type: ignore[call-overload] # pyright: ignore[reportCallIssue]


# -- failure ------------------------------------------------------------------------------------------------------


async def test_a_failed_run_raises_the_original_exception_and_the_agent_lives_on() -> None:
    error = LookupError("no such thing")
    agent = Agent("a", model=failing_model(error, times=1, then="fine"))

    with pytest.raises(LookupError) as caught:
        await agent.run("x")
    ref = agent.ref()

    assert caught.value is error
    assert any("'a'" in note for note in error.__notes__)
    assert (await agent.run("y")).content == "fine"
    assert (agent.ref(), agent.ref().incarnation) == (ref, 1)


async def test_a_failed_run_that_nobody_waits_for_is_a_dead_letter() -> None:
    agent = Agent("a", model=failing_model(ValueError("lost")))
    system = ActorSystem.of(asyncio.get_running_loop())
    before = system.dead_letters.total

    agent.ref().tell(agent.request(["x"], {}))
    await settle()

    assert system.dead_letters.total == before + 1


async def test_exceptions_named_in_crash_on_restart_the_agent() -> None:
    agent = Agent("a", model=failing_model(ConnectionError("gone"), times=1, then="back"), crash_on=(ConnectionError,))
    supervisor = Supervisor.start([ChildSpec(agent.factory(), name="a", restart="transient")])
    await supervisor.ready()

    with pytest.raises(ConnectionError, match="gone"):
        await agent.run("x")
    answer = await agent.run("y")

    assert (answer.content, agent.ref().incarnation) == ("back", 2)
    await supervisor.stop()


async def test_an_agent_remembers_over_a_restart_of_its_actor() -> None:
    model = scripted_model(["one", ConnectionError("gone"), "three"])
    agent = Agent("a", model=model, crash_on=(ConnectionError,))
    supervisor = Supervisor.start([ChildSpec(agent.factory(), name="a", restart="transient")])
    await supervisor.ready()
    await agent.run("1")
    with pytest.raises(ConnectionError):
        await agent.run("2")

    await agent.run("3")

    assert [len(call.messages) for call in model.requests] == [1, 3, 3]
    await supervisor.stop()


async def test_an_agent_without_supervisor_that_crashed_comes_back_with_the_next_run() -> None:
    agent = Agent("a", model=failing_model(OSError("broken"), times=1, then="back"), crash_on=(OSError,))
    with pytest.raises(OSError, match="broken"):
        await agent.run("x")
    await settle()

    assert (await agent.run("y")).content == "back"


# -- time and cancellation ----------------------------------------------------------------------------------------


async def test_a_run_that_takes_too_long_is_cancelled(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    slow = slow_model(asyncio.Event())
    agent = Agent("a", model=slow)
    actor_system.start(agent.factory())
    run = asyncio.create_task(agent.run("x", timeout=5))
    await slow.started.wait()

    await manual_clock.advance(5)

    with pytest.raises(RunTimeoutError, match=r"'a'.*5 s"):
        await run
    await settle(actor_system)
    assert slow.cancelled == 1
    assert (await agent.run("y", model=echo_model())).content == "y"


async def test_a_run_that_waits_too_long_for_its_turn_is_never_started(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    release = asyncio.Event()
    slow = slow_model(release)
    agent = Agent("a", model=slow)
    actor_system.start(agent.factory())
    first, second = (asyncio.create_task(agent.run(text, timeout=time)) for text, time in (("x", 9), ("y", 5)))
    await slow.started.wait()

    await manual_clock.advance(5)
    with pytest.raises(RunTimeoutError):
        await second
    release.set()

    assert ((await first).content, slow.prompts) == ("x", ["x"])


async def test_the_timeout_of_an_agent_holds_for_each_run_unless_the_run_has_its_own(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    release = asyncio.Event()
    agent = Agent("a", model=slow_model(release), timeout=5, session=False)
    actor_system.start(agent.factory())
    short, endless = asyncio.create_task(agent.run("x")), asyncio.create_task(agent.run("y", timeout=None))
    await settle(actor_system)

    await manual_clock.advance(1000)
    with pytest.raises(RunTimeoutError):
        await short
    release.set()

    assert (await endless).content == "y"


def test_the_default_timeout_is_five_minutes() -> None:
    assert Agent("a").timeout == 300.0


async def test_a_timeout_inside_a_callback_is_not_taken_for_that_of_the_run() -> None:
    async def impatient(text: str) -> str:
        return str(await Agent("slow", model=slow_model(asyncio.Event())).run(text, timeout=0.01))

    with pytest.raises(RunTimeoutError, match="'slow'"):
        await Agent.from_callback(impatient).run("x")


async def test_a_cancelled_caller_cancels_the_call_of_the_model() -> None:
    slow = slow_model(asyncio.Event())
    run = asyncio.create_task(Agent("a", model=slow).run("x"))
    await slow.started.wait()

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await settle()

    assert (slow.cancelled, slow.waiting) == (1, 0)


async def test_a_run_inside_another_one_ends_with_its_time(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    slow = slow_model(asyncio.Event())
    inner = Agent("inner", model=slow)

    async def ask_inner(text: str) -> str:
        return (await inner.run(text)).content

    outer = Agent.from_callback(ask_inner)
    actor_system.start(outer.factory())
    run = asyncio.create_task(outer.run("x", timeout=5))
    await slow.started.wait()

    await manual_clock.advance(5)

    with pytest.raises(RunTimeoutError):
        await run
    await settle(actor_system)
    assert slow.cancelled == 1


# -- life -----------------------------------------------------------------------------------------------------------


async def test_a_closed_node_refuses_runs_and_can_be_opened_again() -> None:
    agent = echo_agent("a")
    async with agent:
        await agent.run("x")

    with pytest.raises(NodeStoppedError, match="'a'"):
        await agent.run("y")
    async with agent:
        assert (await agent.run("z")).content == "a(z)"


async def test_a_node_that_was_opened_twice_is_closed_by_the_second_close() -> None:
    agent = echo_agent("a")
    await agent.open()
    await agent.open()

    await agent.close()
    assert (await agent.run("x")).content == "a(x)"
    await agent.close()

    with pytest.raises(NodeStoppedError):
        await agent.run("y")


async def test_closing_lets_accepted_runs_end() -> None:
    release = asyncio.Event()
    slow = slow_model(release)
    agent = Agent("a", model=slow)
    run = asyncio.create_task(agent.run("x"))
    await slow.started.wait()

    closing = asyncio.create_task(agent.close())
    release.set()

    assert (await run).content == "x"
    await closing


async def test_a_run_whose_actor_is_killed_says_so() -> None:
    slow = slow_model(asyncio.Event())
    agent = Agent("a", model=slow)
    run = asyncio.create_task(agent.run("x"))
    await slow.started.wait()

    await agent.ref().kill()

    with pytest.raises(RunCancelledError, match="'a'"):
        await run


async def test_two_nodes_of_one_name_do_not_get_in_each_others_way() -> None:
    assert [(await echo_agent("a").run("x")).content, (await echo_agent("a").run("y")).content] == ["a(x)", "a(y)"]


async def test_complete_tasks_waits_for_the_runs_that_were_accepted() -> None:
    release = asyncio.Event()
    agent = Agent("a", model=slow_model(release), session=False)
    replies = [agent.post([prompt]) for prompt in ("x", "y")]
    waiting = asyncio.create_task(agent.complete_tasks())
    await settle()
    assert not waiting.done()

    release.set()
    await waiting

    assert [reply.result().content for reply in replies] == ["x", "y"]


# -- context, signals, events ---------------------------------------------------------------------------------------
