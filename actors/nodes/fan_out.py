"""One message to many members at once, and their answers as they come."""

import asyncio
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any

from actors.nodes.member_request import MemberRequest
from actors.nodes.team_settings import SuccessPolicy
from actors.nodes.transcript import Transcript
from actors.runs.errors import member_failure
from actors.runs.handle import NodeHandle
from actors.runtime.future import AsyncioFuture
from protocols.errors import RunCancelledError
from protocols.messages import ChatMessage


class FanOut:
    """The working members of one run of a team. Belongs to the handler of the actor of the team."""

    __slots__ = ("_asks", "_is_patient", "_members", "_over", "_policy", "_started", "_transcript", "answers")

    def __init__(
        self,
        members: Sequence[NodeHandle[Any, Any]],
        policy: SuccessPolicy,
        transcript: Transcript,
        *,
        is_patient: bool = False,
    ) -> None:
        self._is_patient = is_patient
        self._members = members
        self._policy = policy
        self._transcript = transcript
        self._asks: list[AsyncioFuture[Any]] = []
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started = perf_counter()
        self.answers: list[ChatMessage[Any] | None] = [None] * len(members)
        """Answers in the order of the members; None for failed and cancelled members."""

    async def run(self, make: MemberRequest) -> None:
        """Ask all members and wait until the policy is settled. Then cancel the members that still work."""
        try:
            for place, member in enumerate(self._members):
                self._ask(place, member, make)
            await self._over
        finally:
            for ask in self._asks:
                ask.cancel()

    def _ask(self, place: int, member: NodeHandle[Any, Any], make: MemberRequest) -> None:
        try:
            request, timeout = make.request(member), make.timeout(member)
            ask: AsyncioFuture[Any] = member.ref().ask(request, block=False, timeout=timeout)
        except Exception as error:  # a member that cannot be asked counts as failed
            self._failed(member.name, error)
            return
        self._asks.append(ask)
        ask.add_done_callback(partial(self._ended, place, timeout))

    def _ended(self, place: int, timeout: float | None, ask: asyncio.Future[Any]) -> None:
        if self._over.done():
            return
        name = self._members[place].name
        if ask.cancelled():
            self._failed(name, RunCancelledError(f"node {name!r}: the run was cancelled", node=name))
        elif (error := ask.exception()) is None:
            self._passed(place, name, ask.result())
        elif isinstance(error, Exception):
            self._failed(name, member_failure(error, name, timeout))
        else:
            self._over.set_exception(error)

    def _passed(self, place: int, name: str, answer: ChatMessage[Any]) -> None:
        self.answers[place] = answer
        response = self._transcript.passed(name, answer, perf_counter() - self._started)
        if self._transcript.handoff is not None:
            self._transcript.handoff.put(response)
        self._look()

    def _failed(self, name: str, error: Exception) -> None:
        self._transcript.failed(name, error)
        self._look()

    def _look(self) -> None:
        transcript = self._transcript
        done, failed = len(transcript.responses), len(transcript.errors)
        if not self._over.done() and self._policy.is_settled(
            done, failed, len(self._members), is_patient=self._is_patient
        ):
            self._over.set_result(None)
