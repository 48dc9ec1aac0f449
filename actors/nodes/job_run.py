"""Jobs on every node."""

from collections.abc import Iterable, Sequence
from typing import Any, Unpack, cast

from actors.nodes.handle import Deps, NodeHandle, Other, Out
from actors.nodes.job import Job
from actors.nodes.request import RunKeywords
from protocols.errors import JobError
from protocols.messages import ChatMessage


class JobRuns(NodeHandle[Deps, Out]):
    """Doing jobs."""

    def job_agents(self) -> Sequence[NodeHandle[Any, Any]]:
        """Return whom a job has to fit."""
        return (self,)

    async def run_job(self, job: Job[Other], **options: Unpack[RunKeywords]) -> ChatMessage[Other]:
        """Do a job once: its tools and its knowledge are there for this run only.

        Args:
            job: what to do.
            **options: as for `run`. The exchange is kept in the history unless ``store_history=False``; with
                ``include_agent_tools=False`` only the tools of the job can be used.

        Raises:
            JobError: an agent does not fit, and nothing was run; or the run failed (the cause is chained); or the
                answer is of another type than the job requires.
        """
        given: dict[str, Any] = {"store_history": True, **options}
        prompts = await job_prompts(self.name, job, self.job_agents(), given)
        try:
            answer: ChatMessage[Any] = await self.run(*prompts, **given)
        except Exception as error:
            msg = f"job {job.name!r}: node {self.name!r} failed: {error}"
            raise JobError(msg, node=self.name) from error
        wanted: Any = job.required_return_type
        if wanted is not str and isinstance(wanted, type) and not isinstance(answer.content, wanted):
            got = type(answer.content).__name__
            msg = f"job {job.name!r}: node {self.name!r} answered {got}, not {wanted.__name__}"
            raise JobError(msg, node=self.name, message=answer)
        return cast("ChatMessage[Other]", answer)


async def job_prompts(
    node: str, job: Job[Any], agents: Iterable[NodeHandle[Any, Any]], options: dict[str, Any]
) -> list[object]:
    """Return what a job asks, and put what else it needs into the options of the run.

    Raises:
        JobError: an agent does not fit.
    """
    for agent in agents:
        deps: object = options.get("deps")
        if deps is None:
            deps = getattr(getattr(agent, "settings", None), "deps", None)
        problem = job.misfit(agent.name, deps)
        if problem is not None:
            msg = f"job {job.name!r} does not fit node {node!r}: {problem}"
            raise JobError(msg, node=node)
    if job.tools:
        options["tools"] = [*job.get_tools(), *(options.get("tools") or ())]
    if job.required_return_type is not str:
        options.setdefault("output_type", job.required_return_type)
    return [*job.knowledge, await job.get_prompt()]
