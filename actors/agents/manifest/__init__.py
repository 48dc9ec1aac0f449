"""From the agents of a manifest to `AgentDefinition`. The name below is loaded at its first use, as it needs YAML."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.agents.manifest.agent import read_agent

__all__ = ["read_agent"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.agent"), name)
