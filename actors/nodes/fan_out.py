"""One message to many members at once, and their answers as they come."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from actors.nodes.member_request import MemberRequest
from actors.nodes.team_settings import SuccessPolicy
from actors.nodes.transcript import Transcript
from actors.runs.errors import member_failure
from actors.runs.event_channel import StreamSink
from actors.runs.handle import NodeHandle
from actors.runs.request import RunRequest
from actors.runtime.envelope import Envelope, current
from actors.runtime.future import LoopFuture
from protocols.clock import TimerHandle
from protocols.errors import RunCancelledError, RunTimeoutError
from protocols.messages import ChatMessage

_MARGIN = 0.1
"""Seconds before its deadline at which a team gives what it has; at most a twentieth of its time."""

_set_result = asyncio.Future[Any].set_result


class MemberReply(LoopFuture[Any]):
    """The reply of an ask that a function gets as soon as it is done. The function raises nothing.

    A callback would be a turn of the event loop for each reply: a tenth of a run of a team.
    """

    __slots__ = ("receive",)
    receive: "Callable[[MemberReply], object]"

    def set_result(self, result: Any, /) -> None:
        """Set the value."""
        _set_result(self, result)
        self.receive(self)

    def settled(self, why: str = "cancelled") -> None:
        """Release the work after a failure or a cancellation."""
        super().settled(why)
        self.receive(self)


class FanOut:
    """The working members of one run of a team. Belongs to the handler of the actor of the team."""

    __slots__ = (
        "_asks", "_ended_places", "_has_told", "_is_patient", "_members", "_over", "_policy", "_sink", "_started",
        "_timer", "_told", "_transcript", "answers",
    )  # fmt: skip

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
        self._asks: list[MemberReply] = []
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started = perf_counter()
        self._sink: StreamSink | None = None
        self._ended_places: set[int] = set()
        self._told = 0
        self._has_told = False
        self.answers: list[ChatMessage[Any] | None] = [None] * len(members)
        """Answers in the order of the members; None for failed and cancelled members."""

    async def run(self, make: MemberRequest) -> None:
        """Ask all members and wait until the policy is settled. Then cancel the members that still work.

        If the time of the team ends before, and the policy is met, the members that still work have failed.
        """
        sink = make.parent.sink
        if sink is not None and sink.is_voice(make.parent.node):
            self._sink = sink
        self._timer = self._limit(make.parent.run_id)
        try:
            for place, member in enumerate(self._members):
                self._ask(place, member, make)
            await self._over
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for ask in self._asks:
                if not ask.done():
                    ask.cancel()
            self._asks.clear()  # each of them holds this object

    def _limit(self, run_id: str) -> TimerHandle | None:
        """Return the timer of the team's own time, or of that of the outermost team; None if it ends with others."""
        at = current.get()
        if at is None or at.deadline is None:
            return None
        clock = at.cell.system.clock
        left = at.deadline - clock.now()
        margin = min(_MARGIN, left / 20)
        while at.parent is not None and at.parent.deadline == at.deadline:
            at, margin = at.parent, min(margin + _MARGIN, left / 2)  # the team inside ends first
        if type(at.message) is not RunRequest or not at.message.node.counts_members:
            return None
        return clock.call_later(left - margin, self._end_in_time, run_id, at, margin)

    def _end_in_time(self, run_id: str, at: Envelope, margin: float) -> None:
        """Give up the members that still work, if the answers of the others are enough."""
        system = at.cell.system
        paused = system.deadlines.paused.get(at)
        left = (at.deadline or 0.0) - at.cell.now() if paused is None else paused[1]
        if paused is not None or left > 2 * margin:  # a member waits, or has waited, for a person
            self._timer = system.clock.call_later(max(left - margin, margin), self._end_in_time, run_id, at, margin)
            return
        if self._over.done() or not self._policy.is_met(len(self._transcript.responses), len(self._members)):
            return
        for member in self._transcript.at_work(()):
            text = f"node {member.name!r}: the run was not finished within the time of its team and has been cancelled"
            if inner := ", ".join(member.at_work(run_id)):
                text += f"; at work: {inner}"
            self._transcript.failed(member.name, RunTimeoutError(text, node=member.name))
        self._over.set_result(None)

    def _ask(self, place: int, member: NodeHandle[Any, Any], make: MemberRequest) -> None:
        try:
            request, timeout = make.request(member), make.timeout(member)
            ref, reply = member.ref(), MemberReply(loop=self._over.get_loop())
            reply.receive = partial(self._ended, place, timeout)
            self._asks.append(reply)
            ref.ask_for(reply, request, timeout)
        except Exception as error:  # a member that cannot be asked counts as failed
            self._failed(place, error)

    def _ended(self, place: int, timeout: float | None, ask: MemberReply) -> None:
        if self._over.done():
            return
        name = self._members[place].name
        try:
            if ask.cancelled():
                self._failed(place, RunCancelledError(f"node {name!r}: the run was cancelled", node=name))
            elif (error := ask.exception()) is None:
                answer = self.answers[place] = ask.result()
                response = self._transcript.passed(name, answer, perf_counter() - self._started)
                if self._transcript.handoff is not None:
                    self._transcript.handoff.put_now(response)
                self._look(place)
            elif isinstance(error, Exception):
                self._failed(place, member_failure(error, name, timeout))
            else:
                self._over.set_exception(error)
        except BaseException as error:  # it belongs to the team, not to the member whose reply this is
            if not self._over.done():
                self._over.set_exception(error)

    def _failed(self, place: int, error: Exception) -> None:
        self._transcript.failed(self._members[place].name, error)
        self._look(place)

    def _look(self, place: int) -> None:
        if self._sink is not None:
            self._tell(self._sink, place)
        transcript = self._transcript
        done, failed = len(transcript.responses), len(transcript.errors)
        if not self._over.done() and self._policy.is_settled(
            done, failed, len(self._members), is_patient=self._is_patient
        ):
            self._over.set_result(None)

    def _tell(self, sink: StreamSink, place: int) -> None:
        """Give the stream the text of the answers that no other answer can come before."""
        self._ended_places.add(place)
        begin = self._told
        while self._told in self._ended_places:
            self._told += 1
        answers = [one for one in self.answers[begin : self._told] if one is not None]
        if answers:
            text = ChatMessage([one.content for one in answers], "assistant", associated_messages=tuple(answers)).text
            sink.put_now(None, f"\n\n{text}" if self._has_told else text)
            self._has_told = True
