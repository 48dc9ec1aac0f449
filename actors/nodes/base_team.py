"""`BaseTeam`: what parallel teams and chains have in common: members, a shared prompt, a picker, supervision."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from time import perf_counter
from types import NoneType
from typing import Any, ClassVar, Generic, overload

import msgspec

from actors.nodes.diagram import DiagramGroup, diagram
from actors.nodes.distribution import Distribution
from actors.nodes.node import AnyNode, MessageNode, Pool, common_pool
from actors.nodes.team_actor import KeepAlive, TeamActor
from actors.nodes.team_settings import ANY, ResultMode, SuccessPolicy, TeamDefinition, TeamSettings
from actors.nodes.transcript import Transcript
from actors.prompts.content import load_user_content, prompt_text
from actors.runs.correlation import begin_step
from actors.runs.handle import Deps, Out
from actors.runs.lifecycle import NodeLifecycle
from actors.runs.node_actor import UNLIMITED
from actors.runs.request import NO_OPTIONS, OutputKeywords, RunRequest, Settle
from actors.runs.resources import OpenResources
from actors.runs.run_cost import cost_of_team
from actors.runs.run_stats import RunStats
from actors.runtime.mailbox import MailboxConfig
from protocols.checks import is_a
from protocols.errors import ConfigError, EmptyChainError, NodeNameError, NodeNotFoundError
from protocols.ids import new_id
from protocols.keywords import spelled_out
from protocols.mailbox import Overflow
from protocols.messages import ChatMessage
from protocols.response import TeamResponse
from protocols.ring import MessageRing
from protocols.tracing import RunTracing

_HISTORY = 100
"""Number of exchanges that a team remembers."""


class BaseTeam(Distribution, MessageNode[Deps, Out], Generic[Deps, Out]):
    """Members that answer together. See `Team` and `TeamRun`.

    A team supervises its members without another owner, and restarts them after a crash. A team keeps no state between
    runs, so any number of runs may be open at the same time.
    """

    kind: ClassVar[str] = "Team"
    """Kind of the team, for people and models."""
    is_chain: ClassVar[bool] = False
    """True if the members work one after the other."""
    _of_the_engine = "answer composed is_chain lease stages steps working"
    runs_until_stopped = False
    counts_members = True
    actor_class = TeamActor
    definition: TeamDefinition  # pyright: ignore[reportIncompatibleVariableOverride] # replaced as a whole only
    _current: Transcript | None = None
    _session_stats: RunStats | None = None

    def __init__(  # noqa: PLR0913 - those of a `TeamDefinition`
        self,
        nodes: Sequence[AnyNode],
        name: str | None,
        settings: TeamSettings,
        *,
        shared_prompt: str | None,
        policy: SuccessPolicy = ANY,
        validator: AnyNode | None = None,
        result_mode: ResultMode = "last",
    ) -> None:
        if is_a(nodes, str) or not is_a(nodes, Iterable):
            raise ConfigError(f"the members of a team must be a list of nodes, not {nodes!r}")
        members = tuple(nodes)
        if not is_a(shared_prompt, str, NoneType):
            raise ConfigError(f"team {name!r}: shared_prompt must be text, not {shared_prompt!r}")
        for member in members:
            check_node(member, "member")
        super().__init__(" & ".join(one.name for one in members) or type(self).__name__ if name is None else name)
        self.definition = TeamDefinition(
            settings=settings, nodes=members, shared_prompt=shared_prompt, is_named=name is not None, policy=policy,
            validator=validator, result_mode=result_mode,
        )  # fmt: skip
        self._check_names()
        self.lease = KeepAlive(self.name)
        """Keeps the actor of the team as long as the team, or a member that is a child of the actor."""
        self._open_runs: dict[str, tuple[RunRequest, Transcript]] = {}
        self._history: MessageRing[tuple[ChatMessage[Any], ChatMessage[Any]]] = MessageRing(capacity=_HISTORY)
        self._tell_members()

    def reconfigure(self, other: NodeLifecycle, opened: OpenResources | None = None) -> OpenResources | None:
        """Take over the definition of another team; see `NodeLifecycle.reconfigure`."""
        before = super().reconfigure(other, opened)
        self._tell_members()
        return before

    def _tell_members(self) -> None:
        for member in self.nodes:
            member.join_group(self)

    def trace(self, tracing: RunTracing | None) -> None:
        """Have spans made of the runs of the team, and of those of its members."""
        super().trace(tracing)
        for member in self.members():
            if member.tracing is None and tracing is not None:
                member.trace(tracing)

    @property
    def history(self) -> Sequence[tuple[ChatMessage[Any], ChatMessage[Any]]]:
        """Task and answer of the runs with ``store_history=True``, oldest first; the last 100."""
        return tuple(self._history)

    @property
    def agents(self) -> Sequence[AnyNode]:
        """Same as `nodes`."""
        return self.nodes

    @property
    def nodes(self) -> tuple[AnyNode, ...]:
        """The members, in order."""
        return self.definition.nodes

    @property
    def settings(self) -> TeamSettings:
        """The settings that the team was made with."""
        return self.definition.settings

    @property
    def shared_prompt(self) -> str | None:
        """Text before every task: for all members of a parallel team, for the first member of a chain."""
        return self.definition.shared_prompt

    def _check_names(self) -> None:
        """Refuse what is not a node, two nodes of one name, and mailboxes that durable members cannot have."""
        names: dict[str, AnyNode] = {}
        definition = self.definition
        extra = (("picker", definition.settings.picker), ("validator", definition.validator))
        for role, node in (*(("member", one) for one in definition.nodes), *extra):
            if node is None:
                continue
            check_node(node, role, self.name)  # a text for each member of many would be quadratic
            if names.setdefault(node.name, node) is not node:
                message = f"team {self.name!r}: two nodes in it are called {node.name!r}; give one of them another name"
                raise NodeNameError(message, node=node.name)
            mailbox = definition.settings.member_specs.get(node.name, {}).get("mailbox")
            if mailbox is not None and node.definition.settings.durable is not None:
                _check_mailbox(mailbox, node.name, self.name)

    @property
    def stages(self) -> Sequence[AnyNode]:
        """The nodes that work without a picker."""
        return self.nodes

    def supervision(self) -> tuple[object, ...]:
        """Return the members, and the settings of their supervisor."""
        settings = self.settings
        return tuple(self.members()), settings.strategy, settings.intensity, settings.backoff, settings.member_specs

    def members(self) -> Sequence[AnyNode]:
        """Return all nodes that the team supervises: members, picker, validator; each once."""
        return self.definition.members()

    def find_pool(self) -> Pool | None:
        """Return the pool of the team and of its members.

        Raises:
            ValueError: the pools are different.
        """
        return common_pool(self.name, (super().find_pool(), *(member.find_pool() for member in self.members())))

    def __len__(self) -> int:
        return len(self.nodes)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[AnyNode]:
        return iter(self.nodes)

    def __contains__(self, node: object) -> bool:
        return node in self.nodes or any(member.name == node for member in self.nodes)

    @overload
    def __getitem__(self, key: int | str) -> AnyNode: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[AnyNode]: ...

    def __getitem__(self, key: int | str | slice) -> AnyNode | Sequence[AnyNode]:
        """Return a member by place or by name.

        Raises:
            NodeNotFoundError: no member has this name; also a KeyError.
            IndexError: there are fewer members.
        """
        if isinstance(key, str):
            found = next((member for member in self.nodes if member.name == key), None)
            if found is None:
                raise NodeNotFoundError.of(key, [member.name for member in self.nodes], f"team {self.name!r}")
            return found
        return self.nodes[key]

    def iter_agents(self) -> Iterator[Any]:
        """Yield the agents of the team and of the teams inside it, depth first.

        Raises:
            ValueError: a member is neither an agent nor a team.
        """
        for member in self.nodes:
            yield from member.iter_agents()

    def leaves(self) -> Iterator[Any]:
        """Yield the leaves of the members, depth first."""
        for member in self.nodes:
            yield from member.leaves()

    async def pick_agents(self, task: str) -> Sequence[AnyNode]:
        """Return the members that work on a task: all, or those of the picker, in the order of its answer.

        Raises:
            PickError: the answer of the picker is not a valid pick.
            EmptyChainError: there are no members.
        """
        nodes, settings = self.definition.nodes, self.definition.settings
        if not nodes:
            raise EmptyChainError(f"team {self.name!r} has no members; pass at least one", node=self.name)
        if settings.picker is None:
            return nodes
        return await settings.pick(self.name, nodes, task)

    def __prompt__(self) -> str:
        """Return two lines that describe the team to a model."""
        names = [node.name for node in self.nodes]
        members = f"Pipeline: {' -> '.join(names)}" if self.is_chain else f"Members: {', '.join(names)}"
        return f"{self.kind} '{self.name}'{f' - {self.description}' if self.description else ''}\n{members}"

    def get_structure_diagram(self) -> str:
        """Return the team and the teams inside it as mermaid text."""
        return diagram([self])

    def structure(self) -> DiagramGroup:
        """Return the members for `get_structure_diagram`."""
        return DiagramGroup(self.kind, self.stages, is_ordered=self.is_chain)

    @property
    def stats(self) -> RunStats:
        """The live stats of the current or last run: each answer of a member counts once."""
        current = self._current
        if current is None:
            return super().stats
        return current.stats or current.observe(RunStats(name=self.name))

    @property
    def talk(self) -> RunStats:
        """Same as `stats`: the connections of the current or last run."""
        return self.stats

    @property
    def execution_stats(self) -> RunStats:
        """Same as `stats`."""
        return self.stats

    def _keep_stats(self, stats: RunStats) -> None:
        """Show these stats as those of the current run."""
        self._current, self._session_stats = None, stats
        super()._keep_stats(stats)

    @spelled_out(OutputKeywords, NO_OPTIONS)
    async def execute(self, *prompts: object, **options: Any) -> TeamResponse[Any]:
        """Run the members and return each answer and each failure.

        The connections of the team get the answer of the team, as after `run`. Prompts and options are those of `run`.
        """
        raise NotImplementedError

    def _observed(self, prompts: Sequence[object], options: Mapping[str, Any], transcript: Transcript) -> RunRequest:
        """Make the request of a run with a given transcript."""
        return msgspec.structs.replace(self.request(prompts, options), follower=transcript)

    @asynccontextmanager
    async def steps(
        self, prompts: Sequence[object], options: Mapping[str, Any], transcript: Transcript
    ) -> AsyncGenerator[AsyncGenerator[Any, None], None]:
        """Run, and yield the steps of the handoff. Leaving early cancels the run."""
        assert transcript.handoff is not None
        run = asyncio.ensure_future(self.ask(self._observed(prompts, options, transcript)))
        async with aclosing(transcript.handoff.steps_of(run)) as steps:
            yield steps

    async def perform(self, request: RunRequest, asked: ChatMessage[Any]) -> ChatMessage[Any]:
        """Have the members work, inside the actor of the team."""
        transcript = request.follower if isinstance(request.follower, Transcript) else Transcript()
        self.follow_cost(request, transcript.cost.total)
        self._open_runs[request.run_id] = request, transcript
        try:
            task = ""
            if self.definition.settings.picker is not None:
                cost_of_team.set(transcript.cost)
                task = prompt_text(await load_user_content([self.shared_prompt, asked]))
            picked = await self.pick_agents(task)
            if self.definition.settings.picker is not None:
                begin_step()
            transcript.begin(self.working(picked), request.stats, is_chain=self.is_chain)
            if request.stats is None and (self._session_stats is None or self._session_stats.done):
                self._current = transcript
            answer = await self.answer(request, asked, transcript)
        except Exception as error:
            transcript.finish(None, error)
            raise
        except asyncio.CancelledError:
            transcript.finish(None, None)
            raise
        finally:
            del self._open_runs[request.run_id]
        transcript.finish(answer, None)
        return answer

    def at_work(self, run_id: str) -> Sequence[str]:
        """Return the members that work in a run; a member of a member as ``'member' > 'its member'``."""
        names: list[str] = []
        for request, transcript in tuple(self._open_runs.values()):
            if run_id in (request.run_id, request.parent_run_id):
                picker = self.settings.picker
                for member in transcript.at_work(() if picker is None else (picker,)):
                    inner = member.at_work(request.run_id)
                    names += [f"{member.name!r} > {one}" for one in inner] or [repr(member.name)]
        return names

    def working(self, picked: Sequence[AnyNode]) -> Sequence[AnyNode]:
        """Return the nodes that work after a pick."""
        return picked

    async def answer(self, request: RunRequest, asked: ChatMessage[Any], transcript: Transcript) -> ChatMessage[Any]:
        """Have the members of the transcript work, and compose the answer."""
        raise NotImplementedError

    def composed(
        self,
        content: Any,
        answers: Sequence[ChatMessage[Any]],
        names: Mapping[str, Any],
        request: RunRequest,
        asked: ChatMessage[Any],
        transcript: Transcript,
    ) -> ChatMessage[Any]:
        """Return the answer of the team, composed of the answers of its members."""
        options = request.options
        answer = ChatMessage(
            content,
            "assistant",
            self.name,
            request.conversation_id,
            options.message_id or new_id(),
            metadata={
                **names,
                "start_time": transcript.start_time.isoformat(),
                "errors": transcript.error_texts,
                **(options.metadata or {}),
            },
            cost_info=transcript.cost.total(),
            response_time=perf_counter() - transcript.started,
            forwarded_from=asked.forwarded_from,
            associated_messages=tuple(answers),
            tool_calls=tuple(call for one in answers for call in one.tool_calls),
            messages=tuple(message for one in answers for message in one.messages),
        )
        if options.store_history:
            self._history.append((asked, answer))
        return answer

    @property
    def max_concurrency(self) -> int:
        """Number of runs that may be open at the same time; unlimited by default."""
        return self.settings.max_concurrency or UNLIMITED

    def _actor_owner(self) -> KeepAlive:
        """Return the object that keeps the actor alive."""
        return self.lease

    async def _stop(self) -> None:
        ref = self.home.find()
        if ref is not None and not self.home.is_owned:
            await ref.ask(Settle(), timeout=None)  # open runs need the members
            await ref.stop()


def _check_mailbox(mailbox: MailboxConfig, node: str, team: str) -> None:
    """Refuse the mailbox of a durable member that loses messages, or changes their order."""
    if mailbox.overflow not in (Overflow.REJECT, Overflow.WAIT) or mailbox.priority is not None:
        message = f"team {team!r}: {node!r} is durable, so its mailbox must reject or wait, and has no priorities"
        raise ConfigError(message, node=node)


def check_node(node: object, role: str, team: str = "") -> None:
    """Raise ConfigError for what is not a node."""
    if not isinstance(node, MessageNode):
        what = f"team {team!r}: {role}" if team else role
        text = "is no node; pass an Agent, a Team or a TeamRun (for a function: Agent.from_callback)"
        raise ConfigError(f"{what} {node!r} {text}")
