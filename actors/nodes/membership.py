"""Which teams and chains a node is a member of, so that whoever ends the node can end them as well."""

from typing import Any
from weakref import WeakSet


class Membership:
    """What a node knows of the groups it is in. It keeps none of them alive."""

    _groups: "WeakSet[Any] | None" = None

    @property
    def groups(self) -> "tuple[Any, ...]":
        """The teams and chains that were made with this node and are still in use, in no order."""
        return () if self._groups is None else tuple(self._groups)

    def join_group(self, group: object) -> None:
        """Take note of a team or chain."""
        if self._groups is None:
            self._groups = WeakSet()
        self._groups.add(group)
