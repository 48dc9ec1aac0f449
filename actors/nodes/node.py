"""`MessageNode`: what users hold of every node. It runs, connects and combines."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, overload
from weakref import WeakSet

from pydantic_ai.tools import Tool

from actors.nodes.connectable import Connecting
from actors.nodes.context import NodeContext, Pool
from actors.nodes.diagram import Structure
from actors.runs.as_tool import tool_of
from actors.runs.background import BackgroundRuns
from actors.runs.handle import Deps, Other, Out
from actors.runs.job_run import JobRuns
from actors.runs.selection import Selection
from actors.runs.streaming import Streaming

if TYPE_CHECKING:
    from actors.nodes.team import Team
    from actors.nodes.team_run import TeamRun


class Operators(Protocol):
    """What combines nodes. It knows all kinds of nodes, so it is given to this class instead of imported by it."""

    def both(self, left: object, right: object) -> Any:
        """Return ``left & right``."""
        ...

    def then(self, left: object, right: object) -> Any:
        """Return ``left | right``."""
        ...

    def node(self, operand: object, operator: str, taken: Iterable[str]) -> Any:
        """Return a node as it is and a function as an agent with a name that is not taken."""
        ...


class MessageNode(
    Connecting,
    JobRuns[Deps, Out],
    Selection[Deps, Out],
    BackgroundRuns[Deps, Out],
    Streaming[Deps, Out],
):
    """Anything that takes messages and answers them: an agent, a team, a chain.

    A node is a handle: it holds configuration, and its actor does the work. It may be used from several event loops.
    """

    is_agent: ClassVar[bool] = False
    """True for a node that answers by a model, or by a function."""
    of_function: ClassVar[Callable[..., Any]]
    """Makes an agent of a function and the names that are taken."""
    operators: ClassVar[Operators]
    """Set by `actors.nodes` once all kinds of nodes are there."""
    _groups: "WeakSet[Any] | None" = None

    @overload
    def __and__(self, other: "Team[Any, Other]") -> "Team[Deps, Out | Other]": ...
    @overload
    def __and__(self, other: "MessageNode[Any, Other]") -> "Team[Deps, Out | Other]": ...
    @overload
    def __and__(self, other: Callable[..., Awaitable[Other]]) -> "Team[Deps, Out | Other]": ...
    @overload
    def __and__(self, other: Callable[..., Other]) -> "Team[Deps, Out | Other]": ...

    def __and__(self, other: object) -> Any:
        return self.operators.both(self, other)

    @overload
    def __rand__(self, other: Callable[..., Awaitable[Other]]) -> "Team[Deps, Other | Out]": ...
    @overload
    def __rand__(self, other: Callable[..., Other]) -> "Team[Deps, Other | Out]": ...

    def __rand__(self, other: object) -> Any:
        return self.operators.both(other, self)

    @overload
    def __or__(self, other: "MessageNode[Any, Other]") -> "TeamRun[Deps, Other]": ...
    @overload
    def __or__(self, other: Callable[..., Awaitable[Other]]) -> "TeamRun[Deps, Other]": ...
    @overload
    def __or__(self, other: Callable[..., Other]) -> "TeamRun[Deps, Other]": ...

    def __or__(self, other: object) -> Any:
        return self.operators.then(self, other)

    def __ror__(self, other: Callable[..., object]) -> "TeamRun[Deps, Out]":
        chain: TeamRun[Deps, Out] = self.operators.then(other, self)
        return chain

    @property
    def context(self) -> NodeContext:
        """The pool of the node, what it was made with, and its dependencies.

        Raises:
            ValueError: the members of a team are in different pools.
            RuntimeError: somebody tries to set it.
        """
        settings: Any = getattr(self, "settings", None)
        return NodeContext(self.name, self.find_pool(), settings, getattr(settings, "deps", None))

    @context.setter
    def context(self, _: object) -> None:
        msg = f"node {self.name!r}: its context cannot be set; it is that of its pool (pool.add_node)"
        raise RuntimeError(msg)

    def structure(self) -> Structure | None:
        """Return what a diagram shows inside the node. None for a node without members."""
        return None

    @property
    def groups(self) -> tuple[Any, ...]:
        """The living teams and chains that contain this node, in no order. The node does not hold them."""
        return () if self._groups is None else tuple(self._groups)

    def join_group(self, group: object) -> None:
        """Note that a team or chain contains this node."""
        if self._groups is None:
            self._groups = WeakSet()
        self._groups.add(group)

    def find_pool(self) -> Pool | None:
        """Return the pool that the node belongs to; None for none."""
        return self.connections.directory

    def to_tool(self, *, name: str | None = None, description: str | None = None) -> Tool[Any]:
        """Return a tool of pydantic_ai that runs this node with a prompt and gives back the content of its answer.

        The deadline and the cancellation of the run that uses the tool reach this node, and its limits of usage hold
        for both together.

        Args:
            name: by default ``ask_<name of the node>``.
            description: by default says whom it asks and what for.
        """
        return tool_of(self, name=name, description=description)


AnyNode = MessageNode[Any, Any]
"""Any node: an agent, a team, a chain, or a node of the user."""
