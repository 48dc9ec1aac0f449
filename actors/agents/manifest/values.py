"""From values of a manifest, which is plain data, to values of pydantic_ai."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, cast

from pydantic_ai.models import Model
from pydantic_ai.output import ToolOutput
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import Tool
from pydantic_ai.usage import UsageLimits

from actors.agents.manifest.imports import ImportScope, refusal
from actors.config.agent import AgentSpec
from actors.config.import_path import PLAIN_BUILTINS
from actors.config.journal import DurableSpec
from actors.config.model import ModelSettingsSpec, ModelSpec
from actors.config.node import BudgetSpec, NodeSpec, UsageLimitsSpec
from actors.config.policy import PolicySpec
from actors.config.response import ResponseSpec
from actors.config.response_model import ResponseModelError, build_model
from actors.config.tool import ToolSpec
from actors.models.endpoint import Model as OwnModel
from actors.models.policy import ModelPolicy, RateLimits
from actors.models.resolve import resolve_model
from protocols.budget import Budget
from protocols.durable import Durable


def model_of(spec: ModelSpec, node: str) -> Model | str:
    """Return the name of a model, or the model itself when it has an address or fallbacks.

    Raises:
        ConfigError: the model cannot be one behind an address.
        ModelError: one of several models cannot be made.
    """
    model: Model | str = spec.name
    if spec.base_url is not None:
        headers = {name: value.get_secret_value() for name, value in spec.headers.items()}
        model = OwnModel(spec.name, base_url=spec.base_url, headers=headers, key_variable=spec.key_variable)
    return resolve_model(model, node=node, fallbacks=spec.fallbacks) if spec.fallbacks else model


def model_settings_of(spec: ModelSettingsSpec | None) -> ModelSettings | None:
    """Return the settings of a model's requests; None for none."""
    if spec is None:
        return None
    return cast("ModelSettings", {**spec.model_dump(exclude_none=True, exclude={"extra"}), **spec.extra})


def policy_of(spec: PolicySpec | None) -> ModelPolicy | Literal[False] | None:
    """Return the policy of requests to a model; None for the usual, False for none."""
    if spec is None or not spec.enabled:
        return None if spec is None else False
    limits = None if spec.limits is None else RateLimits(**spec.limits.model_dump())
    return ModelPolicy(limits=limits, **spec.model_dump(exclude_none=True, exclude={"enabled", "limits"}))


def budget_of(spec: BudgetSpec | None) -> Budget | None:
    """Return the budget of a node; None for none."""
    return None if spec is None else Budget(**spec.model_dump())


def durable_of_spec(spec: DurableSpec | None) -> Durable | None:
    """Return how a node keeps what it has accepted; None for in memory only."""
    return None if spec is None or not spec.enabled else Durable(**spec.model_dump(exclude={"enabled"}))


def node_settings(spec: NodeSpec, scope: ImportScope) -> dict[str, Any]:
    """Return the settings that agents, functions and teams share.

    Raises:
        ConfigError: an import is not allowed, fails, or is not an exception type.
    """
    alike = ("description", "display_name", "redeliver", "max_concurrency", "placement")
    settings: dict[str, Any] = {
        **{key: getattr(spec, key) for key in alike},
        "crash_on": scope.exceptions(spec.crash_on, spec.name),
        "durable": durable_of_spec(spec.durable),
        "retry": scope.retry(spec.retry, spec.name),
        "budget": budget_of(spec.budget),
    }
    if spec.timeout is not None:
        settings["timeout"] = None if math.isinf(spec.timeout) else spec.timeout
    return settings


def usage_limits_of(spec: UsageLimitsSpec | None) -> UsageLimits | None:
    """Return the limits of one run; None for none. Numbers that are not given have no limit."""
    if spec is None:
        return None
    return UsageLimits(
        request_limit=spec.requests,
        tool_calls_limit=spec.tool_calls,
        input_tokens_limit=spec.input_tokens,
        output_tokens_limit=spec.output_tokens,
        total_tokens_limit=spec.total_tokens,
        cost_limit=None if spec.cost is None else Decimal(str(spec.cost)),
    )


def tool_of_spec(spec: ToolSpec, found: object, who: str) -> Tool[Any]:
    """Return a function as a tool under the name and description of the manifest.

    Raises:
        ConfigError: the import is not a function.
    """
    if isinstance(found, Tool):
        if own := sorted(spec.model_fields_set - {"import_path"}):
            raise refusal(who, f"{spec.import_path!r} is a Tool already; set {', '.join(own)} where it is made")
        return cast("Tool[Any]", found)  # type: ignore[redundant-cast] # pyright wants it
    if not callable(found):
        raise refusal(who, f"tool {spec.import_path!r} is no function but {type(found).__name__}")
    return Tool(
        found,
        name=spec.name,
        description=spec.description,
        max_retries=spec.retries,
        requires_approval=spec.requires_confirmation,
        timeout=spec.timeout,
    )


def output_of(spec: AgentSpec, response: ResponseSpec | None, kind: Any) -> Any:
    """Return the type of an agent's answers, as a tool with the name and description of the manifest.

    The keys of the agent come before those of its response.
    """
    name, description = spec.result_tool_name, spec.result_tool_description
    if response is not None:
        name = name or (response.result_tool_name if "result_tool_name" in response.model_fields_set else None)
        description = description or response.result_tool_description
    return kind if name is None and description is None else ToolOutput(kind, name=name, description=description)


def output_type(
    output: str | ResponseSpec | None, who: str, responses: Mapping[str, ResponseSpec], scope: ImportScope
) -> Any:
    """Return the type of an answer.

    Args:
        output: name of a response, a plain type such as ``str``, an import string, or a response; None is ``str``.
        who: the node or job, for errors, and the name of a response that has none.
        responses: the manifest's responses.
        scope: what may be imported.

    Raises:
        ConfigError: the output is not a type.
    """
    if output is None:
        return str
    response = output if isinstance(output, ResponseSpec) else responses.get(output)
    if response is not None:
        name = who if isinstance(output, ResponseSpec) else output
        try:
            return build_model(response, name=name, responses=responses, allow=scope.allow)
        except ResponseModelError as error:
            raise refusal(who, error) from error
    plain = PLAIN_BUILTINS.get(str(output))
    return scope.find(str(output), who) if plain is None else plain
