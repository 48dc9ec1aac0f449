"""An agent that is made of its file, ``Agent("one.yml")``."""

from collections.abc import Mapping
from pathlib import PurePath

from msgspec.structs import replace
from pydantic_ai.models import Model

from actors.agents import manifest
from actors.agents.definition import AgentDefinition
from actors.agents.settings import AgentKeywords, check_settings
from protocols.errors import ConfigError


def read_agent_file(
    path: str | PurePath, model: Model | str | None, given: Mapping[str, object], settings: AgentKeywords
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
    definition = manifest.read_agent(path)
    if model is not None:
        check_settings(definition.name, {"model": model})
        definition.execution.model = model
    return replace(definition, settings=replace(definition.settings, **settings))
