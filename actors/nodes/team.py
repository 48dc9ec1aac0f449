"""`Team`: members that work on the same task at the same time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Generic, Unpack, cast, overload

from actors.nodes.base_team import BaseTeam
from actors.nodes.fan_out import FanOut
from actors.nodes.member_request import MemberRequest
from actors.nodes.node import AnyNode, MessageNode
from actors.nodes.step_handoff import StepHandoff
from actors.nodes.team_settings import ALL, ANY, PolicyWord, SuccessPolicy, TeamKeywords, TeamSettings
from actors.nodes.transcript import Transcript
from actors.runs.handle import Deps, Other, Out
from actors.runs.job import Job, job_prompts, wrong_answer
from actors.runs.request import NO_OPTIONS, OutputKeywords, RunKeywords, RunRequest
from protocols.errors import ConfigError, MemberError
from protocols.keywords import spelled_out
from protocols.messages import ChatMessage
from protocols.response import TeamResponse


class Team(BaseTeam[Deps, list[Out]], Generic[Deps, Out], makes="&"):
    """Members that work on the same task at the same time; the answer is the list of theirs, in the order of members.

    Example:
        >>> team = Team([Agent.from_callback(str.upper), Agent.from_callback(str.title)])
        >>> team.run_sync("so it is").content
        ['SO IT IS', 'So It Is']
    """

    kind: ClassVar[str] = "Parallel Team"

    @overload
    def __init__(
        self,
        nodes: Sequence[MessageNode[Deps, Out]] = (),
        *,
        name: str | None = None,
        shared_prompt: str | None = None,
        policy: PolicyWord | int | SuccessPolicy = "any",
        **settings: Unpack[TeamKeywords],
    ) -> None: ...
    @overload
    def __init__(
        self: "Team[Any, Any]",
        nodes: Sequence[AnyNode],
        *,
        name: str | None = None,
        shared_prompt: str | None = None,
        policy: PolicyWord | int | SuccessPolicy = "any",
        **settings: Unpack[TeamKeywords],
    ) -> None: ...

    @spelled_out(TeamKeywords, TeamSettings())
    def __init__(
        self,
        nodes: Sequence[AnyNode] = (),
        *,
        name: str | None = None,
        shared_prompt: str | None = None,
        policy: PolicyWord | int | SuccessPolicy = "any",
        **settings: Unpack[TeamKeywords],
    ) -> None:
        """Make a team; nothing is started before the first run.

        Args:
            nodes: agents, teams, chains. Their names differ.
            name: by default the names of the members, joined by ``&``.
            shared_prompt: comes before the task, for every member.
            policy: how many must succeed: ``any`` (default), ``all``, ``first`` or a number; see `SuccessPolicy`.
            **settings: see `TeamSettings`.

        Raises:
            NodeNameError: two members have the same name.
            ConfigError: a member is not a node, or a setting cannot be used.
        """
        super().__init__(
            nodes,
            name,
            TeamSettings.of(name or "team", cast("Any", settings), "name", "shared_prompt", "policy"),
            shared_prompt=shared_prompt,
            policy=SuccessPolicy.of(policy),
        )
        quorum = self.policy.quorum
        if quorum is not None and quorum > len(self.nodes):
            message = f"team {self.name!r}: a quorum of {quorum} is more than its {len(self.nodes)} members"
            raise ConfigError(message, node=self.name)

    @property
    def policy(self) -> SuccessPolicy:
        """Number of members that must succeed."""
        return self.definition.policy

    @overload  # type: ignore[override]
    def __and__(self, other: "Team[Any, Other]") -> "Team[Deps, Out | Other]": ...
    @overload
    def __and__(self, other: MessageNode[Any, Other]) -> "Team[Deps, Out | Other]": ...
    @overload
    def __and__(self, other: Callable[..., Awaitable[Other]]) -> "Team[Deps, Out | Other]": ...
    @overload
    def __and__(self, other: Callable[..., Other]) -> "Team[Deps, Out | Other]": ...

    def __and__(self, other: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] # members join, not lists of them
        return super().__and__(other)

    @spelled_out(OutputKeywords, NO_OPTIONS)
    async def execute(self, *prompts: object, **options: Any) -> TeamResponse[Any]:
        """Run all members and return their answers in the order in which they came; failures are in `errors`.

        Waits for all members and raises because of none, whatever the policy, except that ``first`` ends at the first
        success.
        """
        transcript = Transcript()
        with suppress(MemberError):
            await self.ask(self._observed(prompts, options, transcript))
        return transcript.response()

    @spelled_out(OutputKeywords, NO_OPTIONS)
    async def run_iter(self, *prompts: object, **options: Any) -> AsyncIterator[ChatMessage[Any]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run the members on one task and yield each answer as soon as it is there.

        Leaving the loop cancels what still works.

        Raises:
            MemberError: a member failed; raised after the last answer. Also a RuntimeError.
        """
        transcript = Transcript(StepHandoff())
        async with self.steps(prompts, options, transcript) as steps:
            async for response in steps:
                yield response.message
        if transcript.errors:
            raise MemberError.of(self.name, transcript.errors)

    @spelled_out(RunKeywords, NO_OPTIONS)
    async def run_job(self, job: Job[Other], **options: Unpack[RunKeywords[Deps]]) -> TeamResponse[Other]:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride] # the contract's: one answer per member
        """Have all members do a job at the same time; a failing one, or one that answers another type, is in `errors`.

        Raises:
            JobError: an agent of the team does not fit; nothing was run.
        """
        given: dict[str, Any] = {"store_history": True, **options}
        response = await self.execute(*await job_prompts(self.name, job, self.job_agents(), given), **given)
        judged = {one.agent_name: wrong_answer(job, one.agent_name, one.message) for one in response if one.message}
        wrong = {name: error for name, error in judged.items() if error is not None}
        if wrong:
            kept = [one for one in response if one.agent_name not in wrong]
            response = TeamResponse(kept, response.start_time, {**response.errors, **wrong})
        return cast("TeamResponse[Other]", response)

    async def answer(self, request: RunRequest, asked: ChatMessage[Any], transcript: Transcript) -> ChatMessage[Any]:
        """Ask all members at once, inside the actor."""
        policy, require_all = self.definition.policy, request.options.require_all
        if require_all is not None:
            policy = ALL if require_all else ANY
        members = cast("Sequence[AnyNode]", transcript.members)
        fan_out = FanOut(members, policy, transcript, is_patient=request.follower is not None)
        await fan_out.run(await MemberRequest.of(request, asked, self.definition.shared_prompt, transcript.cost))
        if not policy.is_met(len(transcript.responses), len(members)):
            raise MemberError.of(self.name, transcript.errors) from next(iter(transcript.errors.values()), None)
        answers = [answer for answer in fan_out.answers if answer is not None]
        names = {"agent_names": [answer.name for answer in answers]}
        return self.composed([answer.content for answer in answers], answers, names, request, asked, transcript)
