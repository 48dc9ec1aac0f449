"""`Transcript`: what one run of a team has produced so far."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count, pairwise
from threading import Lock
from time import perf_counter
from typing import Any, cast

from actors.nodes.step_handoff import StepHandoff
from actors.runs.events import is_composed
from actors.runs.run_cost import RunCost
from actors.runs.run_stats import RunStats
from actors.talk.talk import Talk
from actors.talk.talk_stats import TalkStats
from protocols.cost import TokenCost
from protocols.errors import error_text
from protocols.messages import ChatMessage
from protocols.node import Target
from protocols.response import AgentResponse, TeamResponse

_lock = Lock()  # held for a moment, when statistics are asked for while answers come


class RunTalk:
    """Stands for the connection of a member whose answer leaves the run.

    Such members are all members of a team, and the last member of a chain.
    """

    __slots__ = ("active", "name", "source", "stats", "targets")

    def __init__(self, source: Target) -> None:
        self.source = source
        self.targets: tuple[Target, ...] = ()
        self.name = f"{source.name}->[]"
        self.active = False
        self.stats = TalkStats(source.name, ())

    def __repr__(self) -> str:
        return f"<RunTalk {self.name!r}>"


class Transcript:
    """Answers and failures of the members in one run. Only the handlers of the run write it."""

    __slots__ = (
        "_error", "_is_own", "_lost", "_result", "cost", "errors", "handoff", "inner_errors", "is_chain", "is_over",
        "members", "responses", "start_time", "started", "stats", "step", "talks",
    )  # fmt: skip

    def __init__(self, handoff: StepHandoff | None = None) -> None:
        self.start_time = datetime.now(UTC)
        self.started = perf_counter()
        self.responses: list[AgentResponse[Any]] = []
        """Successes in the order in which they came."""
        self.errors: dict[str, Exception] = {}
        """Failures by member; the second one of a member has the key ``name (2)``."""
        self.inner_errors: dict[str, str] = {}
        """Texts of the failures inside members that have answered all the same."""
        self.cost = RunCost()
        """Cost of the members, answered or not."""
        self._lost: list[tuple[str, TokenCost]] = []
        self.step = ""
        """The current or last working member of a chain."""
        self.handoff = handoff
        """Takes every answer during the run."""
        self.stats: RunStats | None = None
        """Counts the answers; None for no stats."""
        self.members: Sequence[Target] = ()
        """The working members."""
        self.is_chain = False
        self.is_over = False
        self._is_own = True
        self._result: ChatMessage[Any] | None = None
        self._error: Exception | None = None
        self.talks: Sequence[Any] | None = None
        """The connections of the run; None until they are read."""

    def begin(self, members: Sequence[Target], stats: RunStats | None, *, is_chain: bool = False) -> None:
        """Note the working members and the stats."""
        self.members, self.is_chain = members, is_chain
        if stats is not None:
            self._is_own = False  # several runs share the stats; their maker ends them
            self.observe(stats)

    def passed(self, name: str, answer: ChatMessage[Any], seconds: float) -> AgentResponse[Any]:
        """Note an answer."""
        response = AgentResponse(name, answer, seconds)
        with _lock:
            self.responses.append(response)
            if self.stats is not None:
                _count(self.stats, answer)
            if answer.metadata:
                for inner, text in _errors_of(answer).items():
                    self.inner_errors[_free(inner, self.inner_errors)] = text
        return response

    def failed(self, name: str, error: Exception) -> None:
        """Note a failure."""
        with _lock:
            self.errors[_free(name, self.errors)] = error
            if self.stats is not None:
                self.stats.add_error(name, error_text(error))
            self._lose(name)

    async def pass_on(self, step: AgentResponse[Any] | tuple[str, Exception], _node: object) -> None:
        """Note what became of a member that worked at another host. Wait until the reader asks for the next step."""
        if isinstance(step, tuple):
            self.failed(*step)
            return
        assert step.message is not None
        response = self.passed(step.agent_name, step.message, step.timing or 0.0)
        if self.handoff is not None:
            await self.handoff.give(response)

    def finish(self, answer: ChatMessage[Any] | None, error: Exception | None) -> None:
        """Note the end."""
        with _lock:
            self.is_over, self._result, self._error = True, answer, error
            self._lose(None)
            if self.stats is not None:
                self._end(self.stats)

    def observe(self, stats: RunStats) -> RunStats:
        """Count everything in these stats, from the beginning of the run."""
        with _lock:
            stats.begin(self.links())
            for response in self.responses:
                if response.message is not None:
                    _count(stats, response.message)
            for name, error in self.errors.items():
                stats.add_error(name, error_text(error))
            for name, cost in self._lost:
                stats.add_cost(name, cost)
            self.stats = stats
            if self.is_over:
                self._end(stats)
        return stats

    def _lose(self, name: str | None) -> None:
        for lost in self.cost.lose(name).items():
            self._lost.append(lost)
            if self.stats is not None:
                self.stats.add_cost(*lost)

    def at_work(self, before: Sequence[Any]) -> Sequence[Any]:
        """Return the members that have neither answered nor failed; `before` are those that work before all members."""
        if not self.members:
            return before
        if self.is_chain:
            return [one for one in self.members if one.name == self.step][:1]
        done = {*(one.agent_name for one in self.responses), *self.errors}
        return [one for one in self.members if one.name not in done]

    def links(self) -> Sequence[Any]:
        """Return the connections of the run: one per member of a team, one between neighbours of a chain."""
        if self.talks is None:
            members = self.members
            self.talks = (
                [Talk(source, target, queued=True) for source, target in pairwise(members)]
                if self.is_chain
                else [RunTalk(member) for member in members]
            )
        return self.talks

    def _end(self, stats: RunStats) -> None:
        if self.is_chain and len(self.responses) == len(self.members):
            stats.append(RunTalk(self.members[-1]))
        if self._is_own:
            stats.finish(self._result, self._error)

    @property
    def answers(self) -> list[ChatMessage[Any]]:
        """The answers in the order in which they came."""
        return [response.message for response in self.responses if response.message is not None]

    @property
    def error_texts(self) -> dict[str, str]:
        """Text of every failure, by member; those inside of members, too."""
        texts = dict(self.inner_errors)
        for name, error in self.errors.items():
            texts[_free(name, texts)] = error_text(error)
        return texts

    def response(self) -> TeamResponse[Any]:
        """Return what there is as the answer of `execute`."""
        return TeamResponse(self.responses, self.start_time, self.errors)


def _free(name: str, taken: Mapping[str, object]) -> str:
    return name if name not in taken else next(free for n in count(2) if (free := f"{name} ({n})") not in taken)


def _count(stats: RunStats, answer: ChatMessage[Any]) -> None:
    stats.add(answer)
    for name, text in _errors_of(answer).items():
        stats.add_error(name, text)


def _errors_of(answer: ChatMessage[Any]) -> Mapping[str, str]:
    """Return the failures inside the answer of a team, by member."""
    errors = answer.metadata.get("errors") if answer.metadata and is_composed(answer) else None
    return cast("Mapping[str, str]", errors or {})
