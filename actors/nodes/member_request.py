"""From the request of a team to those of its members."""

from dataclasses import dataclass
from typing import Any, cast

import msgspec
from msgspec import UNSET
from pydantic_ai.usage import RunUsage, UsageLimits

from actors.models.budget import draw, pool_ledger
from actors.prompts.content import load_user_content
from actors.runs.handle import NodeHandle
from actors.runs.request import Route, RunOptions, RunRequest
from actors.runs.run_cost import RunCost
from protocols.ids import new_id
from protocols.messages import ChatMessage, is_message


@dataclass(frozen=True, slots=True)
class MemberRequest:
    """Makes the requests of one run of a team."""

    parent: RunRequest
    """The run of the team."""
    task: ChatMessage[Any]
    """Input of the first members."""
    options: RunOptions
    """How the members run."""
    cost: RunCost
    """Takes the costs of the members."""
    is_heard: bool = False
    """True if the text of the answer is that of the last member."""

    @classmethod
    async def of(
        cls,
        request: RunRequest,
        asked: ChatMessage[Any],
        shared_prompt: str | None,
        cost: RunCost,
        *,
        is_heard: bool = False,
    ) -> "MemberRequest":
        """Make the requests for one run of a team, whose input is `asked`, with `shared_prompt` before it.

        `is_heard` does not hold if the last member may be skipped.
        """
        is_heard = is_heard and request.sink is not None and request.sink.is_voice(request.node)
        is_heard = is_heard and request.options.require_all is not False
        options = _member_options(request)
        first = request.prompts[0]
        if shared_prompt is None and len(request.prompts) == 1 and is_message(first):
            return cls(request, first, options, cost, is_heard)
        content: object = asked.content
        if shared_prompt is not None:
            content = await load_user_content([shared_prompt, asked])
        task = ChatMessage(
            content,
            "user",
            None,
            request.conversation_id,
            metadata=asked.metadata,
            forwarded_from=asked.forwarded_from,
            associated_messages=asked.associated_messages,
        )
        return cls(request, task, options, cost, is_heard)

    def request(
        self,
        member: NodeHandle[Any, Any],
        given: ChatMessage[Any] | None = None,
        route: Route | None = None,
        *,
        is_last: bool = True,
    ) -> RunRequest:
        """Return the request of a member; its input is the task by default. Only the last member gets `output_type`.

        It is what `NodeHandle.request` would make, without its checks, which is 5 % of a run of a team.
        """
        parent = self.parent
        outer = parent.sink
        sink = None if outer is None else outer.of(member, is_voice=is_last and self.is_heard)
        prompt = self.task if given is None else given
        options = self.options
        if not is_last and options.output_type is not None:
            options = msgspec.structs.replace(options, output_type=None)
        kept = None if parent.kept is None else parent.kept.part(member.name)
        return RunRequest(
            member, (prompt,), new_id() if kept is None else kept.run_id,
            options.conversation_id or parent.conversation_id, parent.downstream, options, parent.run_id, parent.hops,
            route, sink, self.cost, kept=kept,
        )  # fmt: skip

    def timeout(self, member: NodeHandle[Any, Any]) -> float | None:
        """Return the timeout of a member. The timeout of the whole run holds as well."""
        timeout = self.options.timeout
        return member.definition.settings.timeout if timeout is UNSET else timeout


def _member_options(request: RunRequest) -> RunOptions:
    """Return the options of a run of a team for its members, without those that concern only the team itself.

    Members of a run without a session begin fresh. The usage limits of the team hold for all members together, unless
    the run has its own.
    """
    options, team = request.options.inherit(None), cast("Any", request.node)
    if options.budget is not None or team.settings.budget is not None or pool_ledger(team) is not None:
        options = msgspec.structs.replace(options, budget=draw(request))
    if options.message_id is not None or options.wait_for_connections is not None:
        options = msgspec.structs.replace(options, message_id=None, wait_for_connections=None)
    limits: UsageLimits | None = team.settings.usage_limits
    if limits is None or options.usage_limits is not None:
        return options
    return msgspec.structs.replace(options, usage_limits=limits, usage=options.usage or RunUsage())
