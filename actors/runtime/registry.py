"""The actors of one system, by name, by class and by URN."""

import functools
import os
import uuid
import weakref
from typing import Any

from actors.runtime.cell import Cell
from actors.runtime.errors import AlreadyStartedError
from actors.runtime.ref import ActorRef

systems: "weakref.WeakSet[Registry]" = weakref.WeakSet()
"""The systems of this process that are not closed."""


class Registry:
    """Look-ups over the living actors; there is one for each system and none for the process."""

    def __init__(self) -> None:
        self.is_forked = False
        self.cells: dict[Cell, None] = {}
        self._names: dict[str, Cell] = {}
        self._urns: dict[str, Cell] = {}
        self._urn_of: dict[Cell, str] = {}

    def check_name(self, name: str | None) -> None:
        """Raise AlreadyStartedError if a living actor has this name."""
        if name is not None and name in self._names:
            raise AlreadyStartedError(name, self._names[name].ref)

    def add(self, cell: Cell, name: str | None) -> None:
        """Add an actor."""
        self.cells[cell] = None
        if name is not None:
            self._names[name] = cell
        if cell.parent is not None:
            cell.parent.children = cell.parent.children or {}
            cell.parent.children[cell] = None

    def forget(self, cell: Cell) -> None:
        """Remove an actor that ended; its name is free."""
        self.cells.pop(cell, None)
        if self._names.get(cell.name) is cell:
            del self._names[cell.name]
        urn = self._urn_of.pop(cell, None)
        if urn is not None:
            del self._urns[urn]

    def urn_of(self, cell: Cell) -> str:
        """Return the URN of an actor, making it when it is asked for first."""
        urn = self._urn_of.get(cell)
        if urn is None:
            urn = uuid.uuid4().urn
            if cell in self.cells:
                self._urn_of[cell] = urn
                self._urns[urn] = cell
        return urn

    def get(self, name: str) -> ActorRef[Any] | None:
        """Return the living actor of this name, or None."""
        cell = self._names.get(name)
        return cell.ref if cell is not None else None

    def actors(self) -> list[ActorRef[Any]]:
        """Return all living actors in the order of their start."""
        return [cell.ref for cell in self.cells]

    def get_by_class(self, actor_class: type) -> list[ActorRef[Any]]:
        """Return the living actors of a class or its subclasses."""
        return [c.ref for c in self.cells if isinstance(c.factory, type) and issubclass(c.factory, actor_class)]

    def get_by_class_name(self, name: str) -> list[ActorRef[Any]]:
        """Return the living actors whose class has this name."""
        return [cell.ref for cell in self.cells if getattr(cell.factory, "__name__", "") == name]

    def get_by_urn(self, urn: str) -> ActorRef[Any] | None:
        """Return the living actor with this URN, or None."""
        cell = self._urns.get(urn)
        return cell.ref if cell is not None else None

    def orphans(self) -> list[ActorRef[Any]]:
        """Return the living actors without a supervisor; they live until they are stopped or crash."""
        return [cell.ref for cell in self.cells if cell.parent is None]


def remember(system: Registry) -> None:
    """Have a system know when its process is forked, and `systems` know the system."""
    _watch_forks()
    systems.add(system)


def _mark_forked() -> None:
    for system in systems:
        system.is_forked = True


@functools.cache  # the hook cannot be taken back, so there is one for the process
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_mark_forked)
