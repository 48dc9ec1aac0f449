"""What surrounds a node: the pool that it lives in, what it was made with, and its dependencies."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Pool = Mapping[str, Any]
"""A pool, as nodes see it: the nodes by name."""


class NodeContext(msgspec.Struct, frozen=True, eq=False):
    """Where a node lives, as of the moment in which it was asked."""

    node_name: str
    """Name of the node."""
    pool: Pool | None = None
    """The pool that it belongs to, a team that of its members; None outside of any pool."""
    config: Any = None
    """What it was made with: `AgentSettings` or `TeamSettings`."""
    data: Any = None
    """Dependencies of its tools and instructions; None for a team."""

    @property
    def manifest(self) -> Any:
        """The manifest of the pool; None without a pool."""
        return getattr(self.pool, "manifest", None)


def common_pool(node: str, pools: Iterable[Pool | None]) -> Pool | None:
    """Return the one pool among these; None when there is none.

    Raises:
        ValueError: there are several.
    """
    found = {id(pool): pool for pool in pools if pool is not None}
    if len(found) > 1:
        names = ", ".join(sorted(repr(getattr(pool, "name", "pool")) for pool in found.values()))
        msg = f"team {node!r}: its members are in different pools ({names}); make it of nodes of one pool"
        raise ValueError(msg)
    return next(iter(found.values()), None)
