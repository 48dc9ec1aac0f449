"""From an agent of the manifest to an `AgentDefinition`."""

import inspect
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path, PurePath
from typing import Any, cast

from msgspec.structs import replace
from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset

from actors.agents.definition import AgentDefinition
from actors.agents.manifest.imports import ImportScope, refusal
from actors.agents.manifest.knowledge import knowledge_of, text_of
from actors.agents.manifest.mcp import ServerBuilder
from actors.agents.manifest.values import (
    budget_of,
    model_of,
    model_settings_of,
    node_settings,
    output_of,
    output_type,
    policy_of,
    tool_of_spec,
    usage_limits_of,
)
from actors.agents.settings import AgentKeywords, check_settings
from actors.agents.tool_approval import marked
from actors.config.agent import AgentSpec
from actors.config.load import load_agent
from actors.config.manifest import Manifest
from actors.config.prompt import PromptSpec
from actors.config.response import ResponseSpec
from actors.config.tool import ToolSpec
from actors.prompts.knowledge import FunctionPrompt
from protocols.errors import ConfigError

_OF_POOLS = ("triggers", "connections", "supervision", "mailbox", "debug")
"""Keys of an agent that only a pool uses."""


class AgentBuilder:
    """Makes the definitions of the agents of one manifest."""

    def __init__(self, manifest: Manifest, *, model: Any = None, deps: Any = None) -> None:
        self._manifest = manifest
        self._model = model
        self._deps = deps
        self._root = manifest.root or Path()
        self.scope = ImportScope(manifest.allow_imports)
        """The imports that the manifest allows."""
        self._servers = ServerBuilder(self._root)

    def definition(self, name: str) -> AgentDefinition:
        """Return the definition of one agent.

        Raises:
            ConfigError: a name in the manifest cannot be found or used.
            ModelError: one of several models cannot be made.
        """
        spec = self._manifest.node(name)
        assert isinstance(spec, AgentSpec)
        settings = {**node_settings(spec, self.scope), "deps": self._deps}
        settings |= {"replicas": spec.replicas, "routing": spec.routing}
        if spec.retries is not None:
            settings["retries"] = spec.retries
        if spec.function is not None:
            return AgentDefinition.of_function(self.scope.function(spec.function, name), name=name, **settings)
        prompts = self._texts((*spec.system_prompt, *spec.instructions), name)
        questions = self._texts(spec.user_prompts, name)
        provider: Any = spec.input_provider
        return AgentDefinition.of_model(
            name,
            model=self._model if spec.model is None else model_of(spec.model, name),
            output_type=output_of(
                spec, self._response(spec), output_type(spec.output_type, name, self._manifest.responses, self.scope)
            ),
            system_prompt=[one for one in prompts if isinstance(one, str)],
            tools=[tool_of_spec(tool, self.scope.find(tool.import_path, name), name) for tool in spec.tools],
            instructions=[one for one in prompts if not isinstance(one, str)] or None,
            toolsets=[self._toolset(tool, name) for tool in spec.toolsets],
            input_provider=provider if provider in (None, "console") else self.scope.function(provider, name),
            requires_tool_confirmation=spec.requires_tool_confirmation,
            mcp_servers=self._servers.build((*self._manifest.mcp_servers, *spec.mcp_servers), name),
            user_prompts=[FunctionPrompt(one) if callable(one) else one for one in questions],
            knowledge=knowledge_of(spec.knowledge, self._root, self.scope, name),
            model_settings=model_settings_of(spec.model.settings if spec.model else None),
            end_strategy=spec.end_strategy,
            parallel_init=spec.parallel_init,
            output_retries=self._output_retries(spec),
            usage_limits=usage_limits_of(spec.limits),
            policy=policy_of(spec.policy),
            session=None if spec.session is None else spec.session.query(),
            approval_timeout=spec.approval_timeout,
            **({} if spec.sessions is None else cast("Any", spec.sessions.settings())),
            session_budget=None if spec.sessions is None else budget_of(spec.sessions.budget),
            **settings,
        )

    def _response(self, spec: AgentSpec) -> ResponseSpec | None:
        output = spec.output_type
        return output if isinstance(output, ResponseSpec) else self._manifest.responses.get(output or "")

    def _output_retries(self, spec: AgentSpec) -> int | None:
        """Return the number of the agent, else of its response, else of all agents."""
        own, response = self._manifest.agents[spec.name].output_retries, self._response(spec)
        if own is None and response is not None and response.output_retries is not None:
            return response.output_retries
        return spec.output_retries

    def _texts(self, prompts: Sequence[PromptSpec], name: str) -> list[Any]:
        return [text_of(prompt, self._root, self.scope, name) for prompt in prompts]

    def _toolset(self, spec: ToolSpec, node: str) -> Any:
        found = self.scope.find(spec.import_path, node)
        made: Any = found() if inspect.isclass(found) or inspect.isfunction(found) else found
        kind: Any = AbstractToolset
        if not isinstance(made, kind):
            raise refusal(node, f"{spec.import_path!r} is no toolset of pydantic_ai but {type(made).__name__}")
        return made.prepared(marked) if spec.requires_confirmation else made


def read_agent(path: str | PathLike[str]) -> AgentDefinition:
    """Return the agent of a file: a manifest with exactly one agent, or only the keys of an agent.

    Raises:
        ManifestError: the file cannot be read or is wrong; lists every problem.
        ConfigError: a name in the file cannot be imported or used, or a key has an effect only in a pool.
    """
    manifest = load_agent(path)
    name, spec = next(iter(manifest.agents.items()))
    idle = [key for key in _OF_POOLS if getattr(spec, key)]
    if idle:
        keys = ", ".join(idle)
        message = f"agent {name!r}: {keys} has no effect on an agent alone; open the file with AgentPool(...)"
        raise ConfigError(message, node=name)
    return AgentBuilder(manifest).definition(name)


def read_agent_file(
    path: str | PurePath, model: Model | str | None, given: Mapping[str, object], settings: AgentKeywords[Any]
) -> AgentDefinition:
    """Return the definition of a file, with the few keywords that may accompany a file.

    Raises:
        ConfigError: a keyword belongs into the file.
    """
    usual = {"output_type": str, "system_prompt": (), "tools": ()}
    refused = [name for name, value in given.items() if value and value != usual[name]]
    refused += [name for name in settings if name != "parallel_init"]
    if refused:
        raise ConfigError(f"agent: {str(path)!r} is the file of an agent, so {refused[0]!r} belongs into the file")
    definition = read_agent(path)
    if model is not None:
        check_settings(definition.name, {"model": model})
        definition.execution.model = model
    return replace(definition, settings=replace(definition.settings, **settings))
