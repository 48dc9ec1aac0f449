"""Whether an agent can do a job: its dependencies, its model, and what it answers."""

from inspect import isclass
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic_ai.models import Model

from actors.nodes.callback import Callback
from actors.nodes.handle import NodeHandle
from actors.nodes.model_run import ModelRun
from protocols.errors import ModelError

if TYPE_CHECKING:
    from actors.nodes.job import Job


def misfit(job: "Job[Any]", agent: NodeHandle[Any, Any], *, deps: object = None, model: Any = None) -> str | None:
    """Return why an agent cannot do a job, None if nothing speaks against it; called on the loop of the run.

    What nobody knows of a model (see `Job.requires_vision`) does not speak against it; a function sees and reads
    everything that it is given.

    Args:
        job: what is to be done.
        agent: who is to do it.
        deps: dependencies for this run; None for those of the agent.
        model: model for this run; None for that of the agent.
    """
    if deps is None:
        deps = getattr(getattr(agent, "settings", None), "deps", None)
    needed = job.required_dependency
    if needed is not None and not isinstance(deps, needed):
        kind = getattr(needed, "__name__", repr(needed))
        return f"it needs dependencies of type {kind}, but agent {agent.name!r} has {deps!r}"
    if job.requires_vision or job.min_context_tokens is not None:
        found = _model_of(agent, model)
        return None if found is None else _model_misfit(job, agent.name, found)
    return None


def answer_misfit(job: "Job[Any]", agent: NodeHandle[Any, Any]) -> str | None:
    """Return why the answer of a function cannot be what a job requires; a model can be asked for anything."""
    execution, wanted = getattr(agent, "execution", None), job.required_return_type
    if not isinstance(execution, Callback) or wanted is str or not isclass(wanted):
        return None
    try:
        given = get_type_hints(execution.function).get("return")
    except Exception:  # annotations of users may be anything
        return None
    if not isclass(given) or issubclass(given, wanted):
        return None
    return f"it requires {wanted.__name__}, but the function of agent {agent.name!r} returns {given.__name__}"


def fits(content: object, wanted: Any) -> bool:
    """Whether an answer is of the type that a job requires; of the answer of a team each item must be."""
    if wanted is str or not isclass(wanted) or isinstance(content, wanted):
        return True
    return isinstance(content, list) and all(fits(item, wanted) for item in _items(content))


def _items(content: Any) -> list[object]:
    return list(content)


def _model_of(agent: NodeHandle[Any, Any], model: Any) -> Model | None:
    """Return the model that will do a job; None for a function, and for one that cannot be made (its run says why)."""
    execution = getattr(agent, "execution", None)
    if not isinstance(execution, ModelRun):
        return None
    chosen = execution.model if model is None else model
    try:
        return execution.resolve(chosen, agent.name)
    except ModelError:
        return None


def _model_misfit(job: "Job[Any]", agent: str, model: Model) -> str | None:
    if job.requires_vision and model.profile.get("supports_image_input") is False:
        return f"it needs a model that sees images, but {model.model_name!r} of agent {agent!r} does not"
    window = model.context_window
    if job.min_context_tokens is not None and window is not None and window < job.min_context_tokens:
        needed = job.min_context_tokens
        return f"it needs {needed} tokens of context, but model {model.model_name!r} of agent {agent!r} reads {window}"
    return None
