"""`TeamRun`: members that work one after the other, each on what the one before has answered."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Unpack, cast, get_args, overload

from msgspec import UNSET
from msgspec.structs import replace

from actors.nodes.base_team import BaseTeam
from actors.nodes.chain import Chain, SteppedChain, WatchedChain
from actors.nodes.member_request import MemberRequest
from actors.nodes.node import AnyNode, MessageNode
from actors.nodes.step_handoff import StepHandoff
from actors.nodes.team_settings import ResultMode, TeamKeywords, TeamSettings
from actors.nodes.transcript import Transcript
from actors.runs.handle import Deps, Out
from actors.runs.job import Worker
from actors.runs.request import NO_OPTIONS, OutputKeywords, RunRequest
from actors.talk.talk import Talk
from protocols.errors import ChainBrokenError, RunCancelledError, RunError, add_note, error_text
from protocols.keywords import spelled_out
from protocols.messages import ChatMessage
from protocols.response import AgentResponse, TeamResponse

if TYPE_CHECKING:  # jedi completes no object with a property whose type is a Literal that it can look up
    from actors.nodes.team_settings import ResultMode as ResultWord


class TeamRun(BaseTeam[Deps, Out], Generic[Deps, Out], makes="|"):
    """Members that work one after the other; the answer is that of the last.

    Example:
        >>> chain = TeamRun([Agent.from_callback(str.strip), Agent.from_callback(str.upper)])
        >>> chain.run_sync(" so it is ").content
        'SO IT IS'
    """

    kind: ClassVar[str] = "Sequential Team"
    is_chain: ClassVar[bool] = True

    @overload
    def __init__(
        self,
        nodes: Sequence[MessageNode[Deps, Any]],
        *,
        name: str | None = None,
        shared_prompt: str | None = None,
        validator: MessageNode[Any, Out],
        result_mode: ResultMode = "last",
        **settings: Unpack[TeamKeywords],
    ) -> None: ...
    @overload
    def __init__(
        self,
        nodes: Sequence[MessageNode[Deps, Out]] = (),
        *,
        name: str | None = None,
        shared_prompt: str | None = None,
        validator: None = None,
        result_mode: ResultMode = "last",
        **settings: Unpack[TeamKeywords],
    ) -> None: ...
    @overload
    def __init__(
        self: "TeamRun[Any, Any]",
        nodes: Sequence[AnyNode],
        *,
        name: str | None = None,
        shared_prompt: str | None = None,
        validator: AnyNode | None = None,
        result_mode: ResultMode = "last",
        **settings: Unpack[TeamKeywords],
    ) -> None: ...

    @spelled_out(TeamKeywords, TeamSettings())
    def __init__(
        self,
        nodes: Sequence[AnyNode] = (),
        *,
        name: str | None = None,
        shared_prompt: str | None = None,
        validator: MessageNode[Any, Out] | None = None,
        result_mode: ResultMode = "last",
        **settings: Unpack[TeamKeywords],
    ) -> None:
        """Make a chain; nothing is started before the first run.

        Args:
            nodes: agents, teams, chains; a node may stand in it more than once.
            name: by default the names of the members, joined by ``&``. Texts about a chain without a name say
                ``a -> b``.
            shared_prompt: comes before the task, for the first member.
            validator: works last, on the result of the others; its answer is that of the chain.
            result_mode: ``last`` or ``concat`` (all answers, joined by empty lines).
            **settings: see `TeamSettings`.

        Raises:
            NodeNameError: two different members have the same name.
            ConfigError: a member is not a node, or a setting cannot be used.
        """
        super().__init__(
            nodes,
            name,
            TeamSettings.of(
                name or "team run", cast("Any", settings), "name", "shared_prompt", "validator", "result_mode"
            ),
            shared_prompt=shared_prompt,
            validator=validator,
            result_mode=result_mode,
        )

    @property
    def label(self) -> str:
        """What texts about the chain call it: its name if it was given one, else ``a -> b``."""
        return self.name if self.definition.is_named else " -> ".join(one.name for one in self.nodes) or self.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label!r}>"

    @property
    def validator(self) -> MessageNode[Any, Out] | None:
        """Node that works last; None for none."""
        return self.definition.validator

    @property
    def result_mode(self) -> "ResultWord":
        """What the result is: the last answer, or all answers joined by empty lines."""
        return self.definition.result_mode

    @result_mode.setter
    def result_mode(self, mode: ResultMode) -> None:
        self.definition = replace(self.definition, result_mode=mode)

    def job_agents(self) -> Sequence[Worker]:
        """Return the nodes that a job must fit: the leaves of all members and of the validator."""
        validator: Sequence[Worker] = () if self.validator is None else self.validator.job_agents()
        return tuple(dict.fromkeys((*super().job_agents(), *validator)))

    @spelled_out(OutputKeywords, NO_OPTIONS)
    async def execute(self, *prompts: object, **options: Any) -> TeamResponse[Any]:
        """Run the chain and return the answers of its members in order.

        Raises:
            Exception: what a member raised, with a note of the step; unless ``require_all=False``.
        """
        transcript = Transcript()
        await self.ask(self._observed(prompts, options, transcript))
        return transcript.response()

    @spelled_out(OutputKeywords, NO_OPTIONS)
    async def run_iter(self, *prompts: object, **options: Any) -> AsyncIterator[ChatMessage[Any]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run the chain step by step and yield the answer of each member; leaving the loop cancels the rest."""
        async with self.steps(prompts, options, Transcript(StepHandoff())) as steps:
            async for step in steps:
                yield step.message

    @spelled_out(OutputKeywords, NO_OPTIONS)
    async def execute_iter(self, *prompts: object, **options: Any) -> AsyncIterator[Talk | AgentResponse[Any]]:
        """Run the chain step by step: yield each answer, and between two of them the connection that leads on.

        The connection is this run's own. What is set on it (`transform`, `when`) before the next item is asked for
        holds for the message that it is about to pass on; a filter that lets nothing through ends the chain with an
        error. Leaving the loop cancels the rest.

        Raises:
            NotDurableError: the chain lives at another host of the cluster, and connections do not cross.
        """
        async with self.steps(prompts, options, Transcript(StepHandoff(has_talks=True))) as steps:
            async for step in steps:
                yield step

    @property
    def stages(self) -> Sequence[AnyNode]:
        """The nodes that work without a picker, the validator last."""
        return self.working(self.nodes)

    def working(self, picked: Sequence[AnyNode]) -> Sequence[AnyNode]:
        """Return the nodes that work after a pick: the validator comes last."""
        validator = self.definition.validator
        return picked if validator is None else (*picked, validator)

    async def answer(self, request: RunRequest, asked: ChatMessage[Any], transcript: Transcript) -> ChatMessage[Any]:
        """Send the task through the stages, inside the actor."""
        if self.result_mode not in get_args(ResultMode):
            raise ValueError(f"team {self.name!r}: result_mode={self.result_mode!r} is unknown; use 'last' or 'concat'")
        make = await MemberRequest.of(
            request, asked, self.definition.shared_prompt, transcript.cost, is_heard=self.result_mode == "last"
        )
        chain = self._chain(make, transcript)
        try:
            await chain.run()
        except Exception as error:
            done = ", ".join(response.agent_name for response in transcript.responses) or "none"
            add_note(error, f"chain {self.label!r}: step {transcript.step!r} failed; finished before it: {done}")
            error.__dict__.update(failed_step=transcript.step, transcript=transcript.response())
            if request.sink is not None:
                message = f"Chain broken at {transcript.step}: {error_text(error)}"
                raise ChainBrokenError(message, node=transcript.step) from error
            raise
        if chain.is_cut:
            raise self._cut(transcript)
        return self._result(request, asked, transcript)

    def _chain(self, make: MemberRequest, transcript: Transcript) -> Chain:
        stages = cast("Sequence[AnyNode]", transcript.members)
        is_tolerant = make.options.require_all is False
        if transcript.handoff is not None:
            return WatchedChain(stages, make, transcript, is_tolerant=is_tolerant)
        kind = SteppedChain if _is_hurried(stages, make) else Chain
        return kind(stages, make, transcript, is_tolerant=is_tolerant)

    def _cut(self, transcript: Transcript) -> RunCancelledError:
        """Return the error of a run that was cancelled after a stage, with the answers so far."""
        error, answers = RunCancelledError.after_step(self.name), transcript.answers
        error.partial = answers[-1].text if answers else ""
        error.messages = tuple(message for answer in answers for message in answer.messages)
        error.__dict__["transcript"] = transcript.response()
        return error

    def _result(self, request: RunRequest, asked: ChatMessage[Any], transcript: Transcript) -> ChatMessage[Any]:
        answers = transcript.answers
        if not answers:
            message = f"team {self.name!r}: no member has answered"
            raise RunError(message, node=self.name) from next(iter(transcript.errors.values()), None)
        content: object = answers[-1].content
        if self.definition.result_mode == "concat":
            content = "\n\n".join(answer.text for answer in answers)
        names = {"execution_order": [response.agent_name for response in transcript.responses]}
        return self.composed(content, answers, names, request, asked, transcript)


def _is_hurried(stages: Sequence[AnyNode], make: MemberRequest) -> bool:
    """Return True if a stage has less time than the whole run."""
    if make.options.timeout is not UNSET:
        return False
    whole = make.parent.node.definition.settings.timeout
    own = [stage.definition.settings.timeout for stage in stages]
    return any(one is not None and (whole is None or one < whole) for one in own)
