"""Jobs on every node."""

from collections.abc import Iterable, Sequence
from typing import Any, Unpack, cast

from actors.runs.handle import Deps, NodeHandle, Other, Out
from actors.runs.job import Job, Worker, fits
from actors.runs.request import RunKeywords
from protocols.checks import is_a
from protocols.errors import JobError
from protocols.messages import ChatMessage


class JobRuns(NodeHandle[Deps, Out]):
    """Doing jobs."""

    def job_agents(self) -> Sequence[Worker]:
        """Return the nodes that a job must fit."""
        return (self,)

    def job_problem(self, job: Job[Any], *, deps: object = None, model: Any = None) -> str | None:
        """Return why the node cannot do a job. None if nothing is known that speaks against it.

        Args:
            job: the job.
            deps: dependencies for this run; None for those of the node.
            model: model for this run; None for that of the node.
        """
        del model  # only an agent has one
        if deps is None:
            deps = getattr(getattr(self, "settings", None), "deps", None)
        return job.deps_problem(self.name, deps)

    def answer_problem(self, job: Job[Any]) -> str | None:
        """Return why the answers of the node cannot be what a job requires. None if they may be."""
        del job
        return None

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
        problem = wrong_answer(job, self.name, answer)
        if problem is not None:
            raise problem
        return cast("ChatMessage[Other]", answer)


def wrong_answer(job: Job[Any], node: str, answer: ChatMessage[Any]) -> JobError | None:
    """Return the error of an answer that is not of the type that the job requires."""
    wanted: Any = job.required_return_type
    if fits(answer.content, wanted):
        return None
    msg = f"job {job.name!r}: node {node!r} answered {type(answer.content).__name__}, not {wanted.__name__}"
    return JobError(msg, node=node, message=answer)


async def job_prompts(node: str, job: Job[Any], agents: Iterable[Worker], options: dict[str, Any]) -> list[object]:
    """Return what a job asks, and put what else it needs into the options of the run.

    Raises:
        JobError: it is no job, or an agent does not fit.
    """
    if not is_a(job, Job):
        msg = f"node {node!r}: run_job takes a Job, not {job!r}"
        raise JobError(msg, node=node)
    for agent in agents:
        problem = agent.job_problem(job, deps=options.get("deps"), model=options.get("model"))
        if problem is not None:
            msg = f"job {job.name!r} does not fit node {node!r}: {problem}"
            raise JobError(msg, node=node)
    if job.tools:
        options["tools"] = [*job.get_tools(), *(options.get("tools") or ())]
    if job.required_return_type is not str:
        options.setdefault("output_type", job.required_return_type)
    return [*job.knowledge, await job.get_prompt()]
