"""The actors of one system, and those of all default systems, by name, by class and by URN."""

import asyncio
import os
import threading
import uuid
import weakref
from typing import Any, ClassVar, Final, TypeVar

from actors.runtime.cell import Cell
from actors.runtime.clock import running_loop
from actors.runtime.errors import AlreadyStartedError
from actors.runtime.ref import ActorRef

A = TypeVar("A")

systems: "weakref.WeakSet[Registry]" = weakref.WeakSet()
"""The systems of this process that are not closed."""
default_systems: "dict[asyncio.AbstractEventLoop, Registry]" = {}
"""The system of each loop that `AsyncioActor.start` uses."""
_naming: Final = threading.Lock()


class Registry:
    """Look-ups over the living actors of one system, from any thread."""

    def __init__(self) -> None:
        self.is_forked = False
        self.cells: dict[Cell, None] = {}
        self._names: dict[str, Cell] = {}

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

    def urn_of(self, cell: Cell) -> str:
        """Return the URN of an actor, making it when it is asked for first."""
        with _naming:
            cell.urn = cell.urn or uuid.uuid4().urn
        return cell.urn

    def get(self, name: str) -> ActorRef[Any] | None:
        """Return the living actor of this name, or None."""
        cell = self._names.get(name)
        return cell.ref if cell is not None else None

    def actors(self) -> list[ActorRef[Any]]:
        """Return all living actors in the order of their start."""
        return [cell.ref for cell in tuple(self.cells)]

    def get_by_class(self, actor_class: type[A]) -> list[ActorRef[A]]:
        """Return the living actors of a class or its subclasses."""
        return [ref for ref in self.actors() if issubclass(ref.actor_class, actor_class)]

    def get_by_class_name(self, name: str) -> list[ActorRef[Any]]:
        """Return the living actors whose class has this name."""
        return [ref for ref in self.actors() if ref.actor_class.__name__ == name]

    def get_by_urn(self, urn: str) -> ActorRef[Any] | None:
        """Return the living actor with this URN, or None."""
        return next((cell.ref for cell in tuple(self.cells) if cell.urn == urn), None)

    def orphans(self) -> list[ActorRef[Any]]:
        """Return the living actors without a supervisor; they live until they are stopped or crash."""
        return [cell.ref for cell in tuple(self.cells) if cell.parent is None]


class ActorRegistry:
    """Pykka's registry over the actors of the default systems, those that `AsyncioActor.start` starts. For any thread.

    `pykka.ActorRegistry` knows Pykka's own actors only. An `ActorSystem` of your own has the same look-ups.
    """

    _hidden: ClassVar[weakref.WeakSet[ActorRef[Any]]] = weakref.WeakSet()

    @classmethod
    def get_all(cls) -> list[ActorRef[Any]]:
        """Return all actors that take messages, system by system in the order of their start."""
        known = [ref for system in tuple(default_systems.values()) for ref in system.actors()]
        return [ref for ref in known if ref.is_alive() and ref not in cls._hidden]

    @classmethod
    def get_by_class(cls, actor_class: type[A]) -> list[ActorRef[A]]:
        """Return the actors of a class or its subclasses."""
        return [ref for ref in cls.get_all() if issubclass(ref.actor_class, actor_class)]

    @classmethod
    def get_by_class_name(cls, actor_class_name: str) -> list[ActorRef[Any]]:
        """Return the actors whose class has this name."""
        return [ref for ref in cls.get_all() if ref.actor_class.__name__ == actor_class_name]

    @classmethod
    def get_by_urn(cls, actor_urn: str) -> ActorRef[Any] | None:
        """Return the actor with this URN, or None."""
        found = (system.get_by_urn(actor_urn) for system in tuple(default_systems.values()))
        return next((ref for ref in found if ref is not None and ref.is_alive() and ref not in cls._hidden), None)

    @classmethod
    def broadcast(cls, message: Any, target_class: str | type[Any] | None = None) -> None:
        """Tell all actors a message, or those of a class or of the name of a class."""
        look: Any = cls.get_by_class_name if isinstance(target_class, str) else cls.get_by_class
        for ref in look(target_class or object):
            ref.tell(message)

    @classmethod
    def register(cls, actor_ref: ActorRef[Any]) -> None:
        """Let an actor be found again; each one is found from its start to its end."""
        cls._hidden.discard(actor_ref)

    @classmethod
    def unregister(cls, actor_ref: ActorRef[Any]) -> None:
        """Let an actor be found no more."""
        cls._hidden.add(actor_ref)

    @classmethod
    def stop_all(cls, *, block: bool | None = None, timeout: float | None = None) -> list[Any]:
        """Stop all actors, the last one first, children with their supervisors. On a loop this gives futures."""
        waits = running_loop() is None if block is None else block
        cells = [cell for system in tuple(default_systems.values()) for cell in tuple(system.cells)]
        children = {cell.ref for cell in cells if cell.parent is not None}
        return [ref.stop(block=waits, timeout=timeout) for ref in reversed(cls.get_all()) if ref not in children]


def _mark_forked() -> None:
    for system in systems:
        system.is_forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)
