"""`Chain`: one run through the stages of a team, each of which hands on to the next."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

from actors.nodes.member_request import MemberRequest
from actors.nodes.step_handoff import StepHandoff
from actors.nodes.transcript import Transcript
from actors.runs.errors import member_failure
from actors.runs.handle import NodeHandle
from actors.runs.request import Route, RunRequest
from actors.runtime.actor import AsyncioActor
from actors.runtime.envelope import current
from actors.runtime.future import AsyncioFuture
from actors.talk.talk import Talk
from protocols.errors import TalkError
from protocols.messages import ChatMessage
from protocols.response import AgentResponse


class Chain:
    """The route of one run (see `actors.runs.request.Route`).

    The actor of the team asks the first stage. Each finished stage forwards the next request together with the reply,
    and the last stage answers. Only one stage works at any moment, so two stages never change this object together.
    """

    def __init__(
        self,
        stages: Sequence[NodeHandle[Any, Any]],
        make: MemberRequest,
        transcript: Transcript,
        *,
        is_tolerant: bool = False,
    ) -> None:
        """Make the route of one run.

        Args:
            stages: the nodes, in order.
            make: makes their requests.
            transcript: takes answers and failures.
            is_tolerant: True to skip a failing stage.
        """
        self.stages = stages
        self.transcript = transcript
        self.last: ChatMessage[Any] | None = None
        """The last answer; None before the first."""
        self._given: ChatMessage[Any] | None = None
        """Input of the next stage; None for the task."""
        self._make = make
        self._is_tolerant = is_tolerant
        self._at = 0
        self._since = perf_counter()
        self._scope: Any = current.get()

    @property
    def is_cut(self) -> bool:
        """True if stages are left, though it is over."""
        return self._at < len(self.stages)

    @property
    def is_over(self) -> bool:
        """True if no stage follows: all have worked, or the run was cancelled after a step."""
        return not self.is_cut or self._scope.message.ends_after_step

    async def run(self) -> None:
        """Run all stages, inside the handler of the actor of the team.

        Raises:
            Exception: the error of a stage, unless failing stages are skipped.
        """
        while not self.is_over:
            try:
                await self._go_on()
            except Exception as error:
                self._broke(error)

    async def _go_on(self) -> None:
        """Run stages until a failure or the end."""
        ask = self._ask(self, None)
        try:
            await ask
        finally:
            ask.cancel()

    def _ask(self, route: Route | None, timeout: float | None) -> AsyncioFuture[Any]:
        stage = self.stages[self._at]
        request = self._request(route)
        return stage.ref().ask(request, block=False, timeout=timeout)

    def _request(self, route: Route | None) -> RunRequest:
        stage = self.stages[self._at]
        self.transcript.step = stage.name
        self._since = perf_counter()
        is_last = self._at == len(self.stages) - 1
        return self._make.request(stage, self._given, route, is_last=is_last)

    def _note(self, answer: ChatMessage[Any]) -> AgentResponse[Any]:
        response = self.transcript.passed(self.stages[self._at].name, answer, perf_counter() - self._since)
        self.last = self._given = answer
        self._at += 1
        return response

    def _broke(self, error: Exception) -> None:
        """Skip the failed stage, or raise its failure."""
        stage = self.stages[self._at]
        failure = member_failure(error, stage.name, self._make.timeout(stage))
        self.transcript.failed(stage.name, failure)
        if not self._is_tolerant:
            if failure is error:
                raise error
            raise failure from error
        self._at += 1

    def passed(self, actor: AsyncioActor, request: RunRequest, answer: ChatMessage[Any]) -> None:
        """Note the answer of a stage and forward the reply to the next one."""
        self._note(answer)
        reply = actor.take_reply()
        if reply is None:
            return
        if self.is_over:
            reply.release()
            reply.answer(None)
            return
        try:
            following, ref = self._request(self), self.stages[self._at].ref()
        except Exception as error:  # an error of the run, not of the stage before
            reply.release()
            reply.fail(error)
            return
        ref.forward(following, reply)

    def failed(self, actor: AsyncioActor, request: RunRequest, error: Exception) -> None:
        """Give the failure of a stage to the team."""
        reply = actor.take_reply()
        if reply is not None:
            reply.release()
            reply.fail(error)


class SteppedChain(Chain):
    """A chain whose actor asks the stages one by one, each within its own timeout."""

    async def _go_on(self) -> None:
        ask = self._ask(None, self._make.timeout(self.stages[self._at]))
        try:
            answer = await ask
        finally:
            ask.cancel()
        self._note(answer)


class WatchedChain(SteppedChain):
    """A chain at the pace of a reader, who may change each connection before its use."""

    async def run(self) -> None:
        """Run all stages, and hand each answer and each connection to the reader."""
        try:
            await super().run()
        finally:
            for talk in self._talks:
                talk.disconnect()

    @property
    def _talks(self) -> Sequence[Talk]:
        return [talk for talk in self.transcript.links() if isinstance(talk, Talk)]

    async def _go_on(self) -> None:
        handoff = self.transcript.handoff
        assert handoff is not None, "the run has a reader"
        if self.last is not None:
            self.transcript.step = self.stages[self._at].name
            self._given = await self._through(self._talks[self._at - 1], self.last, handoff)
        await super()._go_on()
        await handoff.give(self.transcript.responses[-1])

    async def _through(self, talk: Talk, message: ChatMessage[Any], handoff: StepHandoff) -> ChatMessage[Any]:
        """Pass a message through a connection that the reader may change first."""
        talk.offer(message, self._make.parent)
        if handoff.has_talks:
            await handoff.give(talk)
        released = await talk.release()
        if not released:
            text = f"talk {talk.name!r} let nothing through to {talk.target.name!r}, so the chain ends there"
            raise TalkError(text, node=talk.source.name, message=message)
        return released[0][1]
