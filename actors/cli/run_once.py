"""One run of one node on the command line, with a prompt or with a job of the manifest."""

import asyncio
import json
import math
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from msgspec.structs import replace

from actors.app import (
    App,
    answer_fields,
    check_models,
    configure_logging,
    open_app,
    readable,
    with_model,
)
from actors.cli.exit_code import CommandError, ExitCode, fail, text_of
from actors.cli.loop import run
from actors.cli.option import is_debug, read_manifest
from actors.cli.output import write
from actors.cli.pool_exit import PoolEnd, PoolExitReason
from actors.cli.progress import STEPS, TROUBLE, line_of, to_stderr
from actors.cli.redaction import one_line, presentable
from actors.cli.report import as_data, report
from actors.cli.shutdown import Shutdown
from actors.config.manifest import Manifest
from actors.prompts.content import load_user_content
from protocols.errors import NodeNotFoundError, nearest
from protocols.events import StampedEvent
from protocols.messages import ChatMessage
from protocols.response import TeamResponse


def manifest_for(file: Path, nodes: Iterable[str], *, model: str | None, timeout: float | None) -> Manifest:
    """Return the manifest of a command that runs these nodes, with another model if one is named.

    Raises:
        ManifestError: the manifest cannot be read, or is wrong.
        NodeNotFoundError: the manifest has no such node.
        CommandError: the timeout is not a number of seconds.
    """
    manifest = read_manifest(file)
    if timeout is not None and not timeout > 0:
        fail(f"--timeout must be a number of seconds > 0, not {timeout:g}")
    for name in nodes:
        if name not in manifest.nodes:
            raise NodeNotFoundError.of(name, manifest.nodes, where=f"manifest {str(file)!r}")
    return at_console(manifest if model is None else with_model(manifest, model))


def at_console(manifest: Manifest) -> Manifest:
    """Return a manifest whose agents have the person at the console approve tool calls, unless they ask another one."""
    agents = {
        name: spec.model_copy(update={"input_provider": "console"})
        if spec.function is None and spec.input_provider is None
        else spec
        for name, spec in manifest.agents.items()
    }
    return manifest.model_copy(update={"agents": agents})


@dataclass
class RunOnce:
    """The node, its prompt, and the options."""

    manifest_file: Path
    node: str
    texts: Sequence[str] = ()
    files: Sequence[Path] = ()
    model: str | None = None
    timeout: float | None = None
    chaos: str | None = None
    _signal: tuple[ExitCode, str] = field(default=(ExitCode.INTERRUPTED, "interrupted"), init=False)

    def run(self, *, as_json: bool) -> int:
        """Run and write the answer; return the exit code.

        Raises:
            Exception: whatever went wrong; `actors.cli.main` makes a message of it.
        """
        configure_logging(debug=is_debug.get())
        manifest = self._checked()
        try:
            answer, numbers, verdict = run(self._answer(manifest, as_json=as_json))
        except (asyncio.CancelledError, KeyboardInterrupt):
            to_stderr(f"understage: {self._signal[1]}")
            return self._signal[0]
        try:
            write(answer)
        finally:
            _show(numbers)
        if verdict is None:
            return ExitCode.OK
        to_stderr(f"understage: {verdict.text}")
        return verdict.code

    def _checked(self) -> Manifest:
        if any(not text.strip() for text in self.texts):
            fail("the prompt is empty; say what to do")
        chaos = () if self.chaos is None else (self.chaos,)
        return manifest_for(self.manifest_file, (self.node, *chaos), model=self.model, timeout=self.timeout)

    async def _answer(self, manifest: Manifest, *, as_json: bool) -> tuple[str, str, PoolExitReason | None]:
        ending = Shutdown(math.inf)
        with ending.listening():
            try:
                return await self._answered(manifest, as_json=as_json)
            finally:
                if ending.reason:
                    self._signal = ending.code, ending.reason

    async def _answered(self, manifest: Manifest, *, as_json: bool) -> tuple[str, str, PoolExitReason | None]:
        prompt = await self._prompt(manifest)
        check_models(manifest, self.node)
        began, names = perf_counter(), list(manifest.nodes)
        async with open_app(manifest, has_triggers=False) as app:
            end = PoolEnd(app)
            try:
                async with _progress(app, names):
                    message = await self._run(app, manifest, prompt)
            except asyncio.CancelledError:
                raise
            except BaseException as cause:
                _show(report(await end.read_stats(), names))
                verdict = end.look()
                if verdict is not None:
                    raise CommandError(verdict.text, verdict.code) from cause
                raise
            snapshot = await end.read_stats()
        for name, error in failed_members(message).items():
            to_stderr(f"understage: member {name!r} failed: {one_line(str(error))}")
        answer = readable(message)
        if as_json:
            agents = [] if snapshot is None else as_data(snapshot, names)
            answer = _as_json(message, self.node, agents=agents, seconds=perf_counter() - began)
        return answer, report(snapshot, names), end.look()

    async def _prompt(self, manifest: Manifest) -> Any:
        texts = self.texts
        if not texts and not self.files:
            spec = manifest.agents.get(self.node)
            if spec is not None and spec.user_prompts:
                return None  # the agent has prompts of its own
            example = f'understage run {self.manifest_file} {self.node} "..."'
            fail(f"there is no prompt; say what {self.node!r} should do, as in: {example}")
        return await load_user_content([*texts, *self.files])

    async def _run(self, app: App, manifest: Manifest, prompt: Any) -> ChatMessage[Any]:
        if self.chaos is not None:
            Chaos(app, self.chaos).begin()
        options = self._run_options()
        prompts = () if prompt is None else (prompt,)
        message: ChatMessage[Any] = await app.pool[self.node].run(*prompts, **options)
        return message

    def _run_options(self) -> dict[str, Any]:
        """Return the options of the run, which waits for the connections: the process ends with it."""
        limit = {} if self.timeout is None else {"timeout": self.timeout}
        return {"wait_for_connections": True, **limit}


@asynccontextmanager
async def _progress(app: App, names: Sequence[str]) -> AsyncGenerator[None]:
    """Show the progress: a live table on a terminal, else lines."""
    async with AsyncExitStack() as stack:
        say: Callable[[str], object] = to_stderr
        if is_live := sys.stderr.isatty():
            from actors.cli.live_table import live_table

            say = await stack.enter_async_context(live_table(app.read_stats, names, app.system.clock))

        def tell(event: StampedEvent) -> None:
            say(line_of(event))

        shown = app.system.events.subscribe(tell, TROUBLE if is_live else STEPS)
        stack.callback(shown.cancel)
        yield


def _show(numbers: str) -> None:
    if numbers:
        to_stderr(f"\n{numbers}" if sys.stderr.isatty() else numbers)


def failed_members(message: ChatMessage[Any]) -> dict[str, str]:
    """Return the failures of members that a team could do without, nested teams included."""
    failed = {str(name): presentable(str(error)) for name, error in dict(message.metadata.get("errors") or {}).items()}
    for inner in message.associated_messages:
        failed |= failed_members(inner)
    return failed


def _as_json(message: ChatMessage[Any], node: str, *, agents: list[dict[str, Any]], seconds: float) -> str:
    document = {
        "node": node,
        **answer_fields(message),
        "conversation_id": message.conversation_id,
        "seconds": seconds,
        "failed_members": failed_members(message),
        "agents": agents,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)


@dataclass
class JobOnce(RunOnce):
    """The job, and the node that does it."""

    job: str = ""

    def _checked(self) -> Manifest:
        manifest = super()._checked()
        if self.job not in manifest.jobs:
            hint = nearest(self.job, manifest.jobs) or "; it has no jobs"
            raise NodeNotFoundError(f"no job {self.job!r} in manifest {str(self.manifest_file)!r}{hint}")
        return manifest

    async def _prompt(self, manifest: Manifest) -> Any:
        return None  # the job has one

    async def _run(self, app: App, manifest: Manifest, prompt: Any) -> ChatMessage[Any]:
        answer: object = await app.pool[self.node].run_job(app.pool.get_job(self.job), **self._run_options())
        if isinstance(answer, TeamResponse):
            return _merged(answer, self.node, self.job)
        assert isinstance(answer, ChatMessage)
        return answer


def _merged(answers: TeamResponse[Any], node: str, job: str) -> ChatMessage[Any]:
    """Return the answers of a team as one message.

    Raises:
        CommandError: all members failed.
    """
    errors = {name: text_of(error) for name, error in answers.errors.items()}
    if not answers:
        failures = "; ".join(f"{name}: {text}" for name, text in errors.items())
        fail(f"job {job!r}: every member of {node!r} failed: {failures}", ExitCode.FAILED)
    message = answers.to_chat_message()
    return replace(message, metadata={**message.metadata, "errors": errors})


class ChaosError(BaseException):
    """The crash of a node that was broken on purpose. No code of a run takes it for a failure."""


class Chaos:
    """Breaks the actor of one node once, while it has the message of a run in its hands.

    The node is told to redeliver: its next incarnation does the run again, and the answer is complete.

    Args:
        app: the running pool.
        victim: name of the node to break.
    """

    def __init__(self, app: App, victim: str) -> None:
        self._node = app.pool[victim]

    def begin(self) -> None:
        """Break the node at the next message that it takes."""
        node = self._node
        node.definition = replace(node.definition, settings=replace(node.definition.settings, redeliver=True))
        node.message_received.connect(self._break)

    def _break(self, _message: Any) -> None:
        self._node.message_received.disconnect(self._break)
        reason = "broken on purpose (--chaos)"
        raise ChaosError(reason)
