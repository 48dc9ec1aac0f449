"""From the agents of a manifest to `AgentDefinition`. The names below are loaded at their first use: they need YAML."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.agents.manifest.agent import read_agent, read_agent_file

__all__ = ["read_agent", "read_agent_file"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.agent"), name)
