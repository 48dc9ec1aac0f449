"""Whether an agent can do a job: its model, and what its function returns."""

from inspect import isclass
from typing import Any, get_type_hints

from pydantic_ai.models import Model

from actors.agents.callback import Callback
from actors.agents.execution import Execution
from actors.agents.model_run import ModelRun
from actors.runs.job import Job
from protocols.errors import ModelError


def model_problem(job: Job[Any], agent: str, execution: Execution, model: Any = None) -> str | None:
    """Return why the model of an agent cannot do a job. None if nothing is known that speaks against it.

    A function sees and reads everything that it is given.

    Args:
        job: the job.
        agent: name of the agent.
        execution: how the agent answers.
        model: model for this run; None for that of the agent.
    """
    if not (job.requires_vision or job.min_context_tokens is not None):
        return None
    found = _model_of(agent, execution, model)
    return None if found is None else _model_problem(job, agent, found)


def answer_problem(job: Job[Any], agent: str, execution: Execution) -> str | None:
    """Return why the answer of a function cannot be what a job requires; a model can be asked for anything."""
    wanted = job.required_return_type
    if not isinstance(execution, Callback) or wanted is str or not isclass(wanted):
        return None
    try:
        given = get_type_hints(execution.function).get("return")
    except Exception:  # annotations of users may be anything
        return None
    if not isclass(given) or issubclass(given, wanted):
        return None
    return f"it requires {wanted.__name__}, but the function of agent {agent!r} returns {given.__name__}"


def _model_of(agent: str, execution: Execution, model: Any) -> Model | None:
    """Return the model that will do a job; None for a function, and for one that cannot be made (its run says why)."""
    if not isinstance(execution, ModelRun):
        return None
    try:
        return execution.resolve(execution.model if model is None else model, agent)
    except ModelError:
        return None


def _model_problem(job: Job[Any], agent: str, model: Model) -> str | None:
    if job.requires_vision and model.profile.get("supports_image_input") is False:
        return f"it needs a model that sees images, but {model.model_name!r} of agent {agent!r} does not"
    window = model.context_window
    if job.min_context_tokens is not None and window is not None and window < job.min_context_tokens:
        needed = job.min_context_tokens
        return f"it needs {needed} tokens of context, but model {model.model_name!r} of agent {agent!r} reads {window}"
    return None
