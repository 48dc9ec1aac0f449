"""The behaviour contract in one line each: what `@pytest.mark.seed("S56")` refers to."""
# ruff: noqa: E501 - one statement, one line

from __future__ import annotations

from typing import Final

SECTIONS: Final[dict[str, tuple[int, int]]] = {
    "Run interface: run, run_sync": (1, 10),
    "run_in_background": (11, 22),
    "run_iter, run_job, run_stream, execute_iter": (23, 42),
    "Team operation and monitoring": (43, 71),
    "Async operations": (72, 103),
    "TeamRun source": (104, 138),
}
"""First and last number of each part."""

_LINES: Final = """
S1 + Agent, Team and TeamRun instances are all MessageNodes and all offer run, run_sync, run_in_background, run_iter, run_stream, run_job, wait, stop, cancel, is_running, stats.
S2 - Await agent.run("q") returns one ChatMessage, role assistant, name = agent name, content = the model's answer.
S3 - Await team.run("q") returns one ChatMessage that contains the output of every member.
S4 - Members of a Team run in parallel: with members that sleep d seconds total time is close to d, not n*d, and each has started before any has finished.
S5 - Every parallel member gets the same prompt.
S6 - Await team_run.run("q") is a chain: member k+1 receives the output of member k; result content is the last one's (c(b(a(q)))).
S7 - agent.run_sync("q") without a running loop returns the same kind of ChatMessage as run.
S8 - team.run_sync and team_run.run_sync do too.
S9 + Run_sync works when called while an event loop is running in the calling thread.
S10 + An exception of the run is raised by run_sync unchanged.
S11 - Await agent.run_in_background("q", max_count=..., interval=..., block=False) returns before the runs are done.
S12 - The returned object has an int message_count that is readable while running and grows with every completed run.
S13 - max_count=3 gives exactly 3 runs, then is_running is False by itself.
S14 - Default for an agent is unlimited: without max_count it is still running after several intervals.
S15 - Runs are separated by interval seconds (default 1.0).
S16 - block=True returns only after the last run; is_running is False then.
S17 - agent.is_running is an attribute, False before, True during, False after.
S18 - Await agent.cancel() ends an unlimited run; is_running False; no further run starts.
S19 + cancel() with nothing running does nothing and does not raise.
S20 + The monitoring loop of the example works verbatim on Agent, Team and TeamRun.
S21 + After cancel() a new run_in_background can be started.
S22 + A run that raises is counted, recorded in the errors, and does not end an agent's repeated background run.
S23 - Async for msg in agent.run_iter("analyze this", store_history=True, model="m") yields exactly one ChatMessage for the whole string.
S24 + agent.run_iter(["p1"], ["p2", "p3"]) yields two messages in order.
S25 - store_history=False leaves the agent's history unchanged, True adds request and answer.
S26 - model= is used for this call only; the agent's own model is unchanged afterwards.
S27 - team.run_iter yields each member's message as it gets ready (fast member first).
S28 - team_run.run_iter yields one message per node in chain order.
S29 - Await agent.run_job(job) runs the job's prompt and returns the ChatMessage.
S30 - Store_history defaults to True and False is honoured.
S31 - include_agent_tools=True (default): during the job the agent sees its own tools plus the job's.
S32 + include_agent_tools=False: only the job's tools; afterwards the tool set is as before, also after an error.
S33 + Job tools are gone after the job.
S34 - Async with agent.run_stream("q", store_history=True, model="m") as stream and async for chunk in stream.stream() yields str chunks whose concatenation is the final content.
S35 - After the async with the exchange is in the history when store_history=True, not when False.
S36 - The same form works for a TeamRun.
S37 + Leaving the stream early stops the model work and leaks no task.
S38 - Everything a parallel Team produces can be had incrementally by run_iter.
S39 - team_run.execute_iter("q") yields objects that match case Talk() and case AgentResponse().
S40 - A yielded Talk has source.name and targets[0].name = the adjacent nodes; an AgentResponse has agent_name and message.content.
S41 + "message flow intervention": setting a transform on a yielded Talk changes what the next node receives.
S42 + The same message value type (ChatMessage) comes out of every handler and can be passed as input to any other handler.
S43 - Team([a1, a2, a3]) makes a team of three in this order.
S44 - pool.create_team(["analyzer", "planner", "executor"]) resolves names; an unknown name raises KeyError.
S45 - After team >> target, running the team makes the target receive the output of all members.
S46 - A1 | a2 | a3 is a TeamRun with exactly these nodes in order.
S47 - pool.create_team_run([...names]) is a TeamRun over these agents.
S48 - Stats = await run.run_in_background("task") on a TeamRun performs one execution by default and ends by itself.
S49 - While it runs len(stats), len(stats.messages), len(stats.errors) are readable at any moment without error, also before the first message.
S50 - run.is_running is True between start and completion and False afterwards, before wait() is called.
S51 - len(stats) is the number of connections of the execution (n-1 links while running, n entries at the end for n nodes).
S52 - Result = await run.wait() returns the final message; content equals that of await run.run("task").
S53 + wait() without a started run raises RuntimeError; wait() on an unlimited run raises RuntimeError.
S54 + Starting a second background execution while one runs raises RuntimeError for teams.
S55 - run.stats is available during and after the run and reports the same numbers as the object returned at the start.
S56 - stats.messages holds each node's output exactly once, in chain order; stats.message_count == len(stats.messages) == n.
S57 - stats.tool_calls lists every tool call of the run.
S58 - stats.token_count = sum of total tokens of the messages that have cost data.
S59 - stats.total_cost is a float in USD = sum over messages; formats with :.4f even when zero.
S60 - stats.byte_count = sum of the UTF-8 lengths of the contents (test with non-ASCII text).
S61 - stats.source_names = set of nodes that sent messages.
S62 - stats.target_names = set of nodes that received messages.
S63 - stats.error_log and stats.errors are the same list of (name, text, time); a failing node appears in it.
S64 - Async with AgentPool() as pool works without a manifest; await pool.add_agent("n", system_prompt="...") returns an Agent that is in the pool.
S65 - The whole example runs with a fake default model, loop and final prints included.
S66 + The stats object stays readable with its final values after wait() and after the pool is closed.
S67 - After leaving async with, no background task of a Team or TeamRun is left, even if the run was unlimited, and leaving does not hang.
S68 - Connections made for an execution are closed when it ends: no link remains active, and repeated executions do not accumulate connections on the members.
S69 - Resources are released also when a member fails or the run is cancelled.
S70 + Statistics can be watched in real time: a reader task sees monotonically growing counts.
S71 + Organisation and execution are separate: building a team with &, |, >> runs nothing.
S72 - Async with Agent(...) as agent then result = await agent.run(...), result.content.
S73 - Async with AgentPool[None]("agents.yml") as pool loads the file; pool.get_agent("analyzer") returns it; unknown name KeyError.
S74 - asyncio.gather(a.run(..), b.run(..)) runs concurrently and returns the results in argument order.
S75 + Concurrent runs of the **same** agent do not mix up their answers.
S76 - After a >> b, await a.run("x") makes b run with a's output, without further calls.
S77 - Await a.run("x", wait_for_connections=False) returns while b is still working.
S78 - Then await b.complete_tasks() returns only after b has finished.
S79 - wait_for_connections=True returns only after all downstream nodes, also indirect ones (a >> b >> c), have finished.
S80 - Default (not given) behaves like independent: returns without waiting.
S81 + With independent connections a failure in b does not change or fail a.run; it is recorded.
S82 + The message returned by a.run is a's own answer with empty forwarded_from; b's answer carries ["a"].
S83 - AgentPool(path, parallel_load=True) is the default: agents whose start takes d seconds start together (time close to d).
S84 - parallel_load=False starts them one after the other, in manifest order.
S85 - Agent(..., parallel_init=True) is the default: components (tools, event sources, MCP servers, knowledge) initialise together; False one after the other.
S86 + Agent("config.yml", parallel_init=True) creates an agent from that file.
S87 - Knowledge sources given to the agent (files, URLs, dynamic prompts) are in its context after entering.
S88 + If one component fails during parallel start, the others are shut down and one clear error with the cause is raised.
S89 - Await await agent.run_in_background("m", interval=5.0): the first await starts, the object is itself awaitable and yields the final message when the run has ended.
S90 - The prompt is run again after each interval until stopped.
S91 - Await agent.stop() ends it, is idempotent, and a task that awaits the handle is released.
S92 + stop() right after the start does not raise CancelledError into the caller.
S93 - The CLI event mode loads all agents of a config file, starts their triggers and stays alive.
S94 - Ctrl+C (SIGINT) ends it with triggers stopped, agents closed, no traceback, defined exit code.
S95 - A file trigger with paths: ["docs/**/*.md"] and extensions: [".md"] makes its agent run when a matching file in any subdirectory is added or changed, with the path in the prompt.
S96 - A change of a file with another extension, or outside the pattern, triggers nothing.
S97 - A webhook trigger on port and path makes its agent run on POST, with the payload in the prompt, and answers 2xx; entering the pool does not block.
S98 - Enabled: false means the trigger is not started and the config still loads and starts.
S99 - Two agents with triggers of different type work side by side in one pool.
S100 - Entering the pool is enough to start the configured triggers; leaving it stops them.
S101 - Cancelling the task that waits in asyncio.Event().wait() inside async with pool leads to a clean shutdown.
S102 - Events are processed asynchronously: while one event's run is in progress, another trigger's event is started, and agent.run called by user code is served too.
S103 - Leaving async with always releases everything, also on exceptions in the body; the exception reaches the caller.
S104 - TeamRun is a BaseTeam, BaseTeam a MessageNode; ExtendedTeamTalk is a TeamTalk; TeamResponse behaves as a list of AgentResponse; SupportsRunStream can be used with isinstance.
S105 - Errors starts empty; add_error("n", "e") appends ("n", "e", <aware datetime>); clear() empties talks and errors.
S106 - TeamRun(nodes, *, name, description, display_name, shared_prompt, validator, picker, num_picks, pick_prompt): all keyword-only, all default None.
S107 - Result_mode is "last"; an unknown value makes run raise ValueError.
S108 - Two-line text: kind, quoted name, optional description; then Pipeline: with the names joined by  -> .
S109 - Message_received fires with a user message before any member runs.
S110 - Result: content of the last message, role assistant, name = team name.
S111 - Associated_messages = the members' messages in order; messages = concatenation of their messages.
S112 - Message_id differs for every run; conversation_id equals that of the incoming message, or a new one.
S113 - Metadata has execution_order (names in order), start_time (ISO parseable), errors (dict).
S114 - A ChatMessage as only input is treated as forwarded: the result's forwarded_from is its chain plus its sender.
S115 - Message_sent fires once with the result; the result is routed to the team's own connections with the given wait_for_connections.
S116 - No message produced at all is an error, never a silent None.
S117 - Returns a TeamResponse in chain order with start_time; every response has timing >= 0.
S118 - Each execution starts with a cleared talk list and error list.
S119 - The shared prompt comes before the task for the first node.
S120 + Keyword arguments given to run/execute (for example model, store_history) have effect.
S121 - Item order is response, then (talk, response) per link; n responses and n-1 talks.
S122 - With a picker only the picked nodes form the chain, in the picked order; the picker sees the rendered prompts.
S123 + num_picks=1 one node; N exactly N; None at least one; invalid, too few, too many: ValueError.
S124 - A validator is the last node of the chain and its output is the result; it appears in execution_order.
S125 - Links are queued connections between neighbours and are triggered one at a time.
S126 - An error in node k propagates to the caller; nodes after k do not run; what happened before stays in the statistics.
S127 - Links are disconnected after success, after an error, and when the consumer stops iterating early.
S128 + A member used elsewhere at the same time does not leak messages into this chain.
S129 - The last node has its own entry in the talk list, so len(talk) == n and all n outputs are counted.
S130 - Yields messages only, in chain order.
S131 - Yields (node, event) tuples; all events of node k come before those of node k+1.
S132 - The content of a node's complete event is the input of the next node.
S133 - Text delta events and all other events are passed on unchanged.
S134 - require_all=True: an error in a node raises ValueError that starts with Chain broken at <name> and has the original as cause.
S135 - require_all=False: the failing node is skipped, the next one gets the last good input.
S136 - A node that cannot stream is an error that names the node.
S137 - Events of a nested team keep the inner node as first tuple element (no tuples inside tuples).
S138 - Extra keywords reach every node.
"""


def _read() -> dict[int, tuple[bool, str]]:
    lines = [line.split(" ", 2) for line in _LINES.strip().splitlines()]
    return {int(number.removeprefix("S")): (kind == "+", text) for number, kind, text in lines}


STATEMENTS: Final = _read()
"""Number to whether the documents only imply it (+), and what it says."""
