"""`Roster`: the nodes and jobs of a pool by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from actors.nodes.agent import Agent
from actors.nodes.base_team import BaseTeam
from actors.pool.root import AnyNode
from protocols.errors import NodeNotFoundError, nearest

if TYPE_CHECKING:
    from actors.nodes.job import Job


class Roster(Mapping[str, AnyNode]):
    """A mapping from names to nodes, in the order in which they came."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._nodes: dict[str, AnyNode] = {}
        self._jobs: dict[str, Job[Any]] = {}

    @property
    def nodes(self) -> dict[str, AnyNode]:
        """All nodes by name, in the order in which they came."""
        return dict(self._nodes)

    @property
    def agents(self) -> dict[str, Agent[Any, Any]]:
        """All agents by name."""
        return {name: node for name, node in self._nodes.items() if isinstance(node, Agent)}

    @property
    def teams(self) -> dict[str, BaseTeam[Any, Any]]:
        """All teams and chains by name."""
        return {name: node for name, node in self._nodes.items() if isinstance(node, BaseTeam)}

    def __getitem__(self, name: str) -> AnyNode:
        """Return a node.

        Raises:
            NodeNotFoundError: there is none of this name; a KeyError that offers the nearest names.
        """
        node = self._nodes.get(name)
        if node is None:
            raise NodeNotFoundError.of(name, self._nodes)
        return node

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._nodes))

    def __len__(self) -> int:
        return len(self._nodes)

    def get_agent(self, agent: str | Agent[Any, Any]) -> Agent[Any, Any]:
        """Return an agent by name; one that is given is returned as it is.

        Raises:
            NodeNotFoundError: there is no such agent; a KeyError that offers the nearest names.
        """
        if isinstance(agent, Agent):
            return agent
        node = self[agent]
        if isinstance(node, Agent):
            return node
        text = f"{agent!r} is no agent but a team; use pool[{agent!r}]"
        raise NodeNotFoundError(text, node=agent)

    def get_job(self, name: str) -> Job[Any]:
        """Return a job of the manifest.

        Raises:
            NodeNotFoundError: there is none of this name; a KeyError that offers the nearest names.
        """
        job = self._jobs.get(name)
        if job is None:
            text = f"no job {name!r} in the pool{nearest(name, self._jobs) or '; the pool has no jobs'}"
            raise NodeNotFoundError(text)
        return job
