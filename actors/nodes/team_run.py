"""`TeamRun`: members that work one after the other, each on what the one before has answered."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Generic, Literal, Unpack, cast

from msgspec import UNSET

from actors.nodes.base_team import AnyNode, BaseTeam
from actors.nodes.chain import Chain, SteppedChain
from actors.nodes.handle import Deps, Out
from actors.nodes.handoff import Handoff
from actors.nodes.member_request import MemberRequest
from actors.nodes.node import MessageNode
from actors.nodes.request import RunRequest
from actors.nodes.team_settings import TeamKeywords, TeamSettings
from actors.nodes.transcript import Transcript
from protocols.errors import ChainBrokenError, RunError
from protocols.messages import ChatMessage
from protocols.response import AgentResponse, TeamResponse

ResultMode = Literal["last", "concat"]
"""What the result is: the last answer, or all answers joined by empty lines."""


class TeamRun(BaseTeam[Deps, Out], Generic[Deps, Out]):
    """Members that work one after the other; the answer is that of the last.

    Example:
        >>> chain = TeamRun([Agent.from_callback(str.strip), Agent.from_callback(str.upper)])
        >>> chain.run_sync(" so it is ").content
        'SO IT IS'
    """

    kind = "Sequential Team"

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
            name: by default the names of the members, joined by ``&``.
            shared_prompt: comes before the task, for the first member.
            validator: works last, on the result of the others; its answer is that of the chain.
            result_mode: ``last`` or ``concat`` (all answers, joined by empty lines).
            **settings: see `TeamSettings`.

        Raises:
            NodeNameError: two different members have the same name.
            ConfigError: a member is no node, or a setting cannot be used.
        """
        super().__init__(nodes, name, shared_prompt, TeamSettings.of(name or "team run", cast("Any", settings)))
        if validator is not None:
            self.check_member(validator, "validator")
        self.validator = validator
        """Works last; None for none."""
        self.result_mode: ResultMode = result_mode
        """What the result is."""

    @property
    def is_plain(self) -> bool:
        """Whether it is but its members and a shared prompt, without picker, validator or name of its own."""
        return super().is_plain and self.validator is None and self.result_mode == "last"

    def members(self) -> Sequence[AnyNode]:
        """Return all nodes that the chain supervises: members, picker, validator; each once."""
        extra = () if self.validator is None else (self.validator,)
        return tuple(dict.fromkeys((*super().members(), *extra)))

    async def pick_agents(self, task: str) -> Sequence[AnyNode]:
        """Return the members that work on a task, in order, the validator not among them; see `BaseTeam`."""
        return await super().pick_agents(task)

    # -- run ------------------------------------------------------------------------------------------------------

    async def execute(self, *prompts: object, **options: Any) -> TeamResponse[Any]:
        """Run the chain and return the answers of its members in order.

        Raises:
            Exception: what a member raised, with a note of the step; unless ``require_all=False``.
        """
        transcript = Transcript()
        await self.ask(self.observed(prompts, options, transcript))
        return transcript.response()

    async def run_iter(self, *prompts: object, **options: Any) -> AsyncIterator[ChatMessage[Any]]:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        """Run the chain step by step and yield the answer of each member; leaving the loop cancels the rest."""
        transcript = Transcript(Handoff())
        async with self.steps(prompts, options, transcript) as steps:
            async for step in steps:
                if isinstance(step, AgentResponse):
                    yield cast("ChatMessage[Any]", step.message)

    # -- inside the actor -----------------------------------------------------------------------------------------

    async def perform(self, request: RunRequest, asked: ChatMessage[Any]) -> ChatMessage[Any]:
        """Send the task through the stages, inside the actor."""
        self._check_mode()
        stages = await self._stages(asked)
        transcript = request.transcript or Transcript()
        make = await MemberRequest.of(request, asked, self.shared_prompt)
        chain = self._chain(stages, make, transcript)
        try:
            await chain.run()
        except Exception as error:
            _explain(error, self.name, chain)
            if request.sink is not None:
                msg = f"Chain broken at {transcript.step}: {error}"
                raise ChainBrokenError(msg, node=transcript.step) from error
            raise
        return self._result(request, asked, chain)

    def _check_mode(self) -> None:
        if self.result_mode not in ("last", "concat"):
            msg = f"team {self.name!r}: result_mode={self.result_mode!r} is unknown; use 'last' or 'concat'"
            raise ValueError(msg)

    async def _stages(self, asked: ChatMessage[Any]) -> Sequence[AnyNode]:
        picked = await self.pick_agents(await self.task_text(asked) if self.settings.picker is not None else "")
        return picked if self.validator is None else (*picked, self.validator)

    def _chain(self, stages: Sequence[AnyNode], make: MemberRequest, transcript: Transcript) -> Chain:
        is_tolerant = make.options.require_all is False
        is_stepped = transcript.handoff is not None or any(_is_hurried(stage, make) for stage in stages)
        kind = SteppedChain if is_stepped else Chain
        return kind(stages, make, transcript, is_tolerant=is_tolerant)

    def _result(self, request: RunRequest, asked: ChatMessage[Any], chain: Chain) -> ChatMessage[Any]:
        answers = chain.transcript.answers
        if not answers:
            msg = f"team {self.name!r}: no member has answered"
            raise RunError(msg, node=self.name) from next(iter(chain.transcript.errors.values()), None)
        content: object = answers[-1].content
        if self.result_mode == "concat":
            content = "\n\n".join(answer.text for answer in answers)
        names = {"execution_order": [response.agent_name for response in chain.transcript.responses]}
        return self.composed(content, answers, names, request, asked, chain.transcript)


def _is_hurried(stage: AnyNode, make: MemberRequest) -> bool:
    """Whether a stage has less time than the run as a whole, so that it has to be watched."""
    if make.options.timeout is not UNSET or stage.timeout is None:
        return False
    whole = make.parent.node.timeout
    return whole is None or stage.timeout < whole


def _explain(error: Exception, team: str, chain: Chain) -> None:
    step, answers = chain.transcript.step, chain.transcript.responses
    done = ", ".join(response.agent_name for response in answers) or "none"
    error.add_note(f"chain {team!r}: step {step!r} failed; finished before it: {done}")
    error.__dict__.setdefault("transcript", chain.transcript.response())
