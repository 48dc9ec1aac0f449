"""Pykka's proxy, which serves an actor over all its lives."""

from typing import Any, cast

import pykka
from pykka._introspection import introspect_attrs
from pykka.messages import ProxySetAttr

from actors.runtime.clock import running_loop
from actors.runtime.outcome import end_cause
from protocols.handle import Handle


class Proxy(Handle, pykka.ActorProxy[Any]):
    """Pykka's proxy over all lives of an actor; setting an attribute on the loop is a tell."""

    def __init__(self, *, actor_ref: Any, attr_path: tuple[str, ...] = ()) -> None:  # pyright: ignore[reportMissingSuperCall] - Pykka's keeps the actor object
        if not actor_ref.is_alive():
            message = f"{actor_ref} not found"
            raise pykka.ActorDeadError(message) from end_cause(actor_ref._cell)  # noqa: SLF001 - a part of the engine
        self.actor_ref = actor_ref
        self._attr_path = attr_path
        self._known_attrs, self._callable_proxies = {}, {}

    @property
    def _actor(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The actor object of now; between two lives an empty one, which has the same methods."""
        cell = cast("Any", self.actor_ref)._cell  # noqa: SLF001
        kind: Any = cell.factory
        return cast("Any", object.__new__(kind) if cell.actor is None and isinstance(kind, type) else cell.actor)

    def __getattr__(self, name: str) -> Any:
        path = (*self._attr_path, name)
        if path not in self._known_attrs:
            self._known_attrs = introspect_attrs(root=self._actor, proxy=self)
            if path not in self._known_attrs:
                message = f"{self} has no attribute {name!r}"
                raise AttributeError(message)
        info = self._known_attrs[path]
        if info.traversable and not info.callable:
            return Proxy(actor_ref=self.actor_ref, attr_path=path)
        return super().__getattr__(name)

    def __dir__(self) -> list[str]:
        self._known_attrs = introspect_attrs(root=self._actor, proxy=self)
        return super().__dir__()

    def __eq__(self, other: object) -> bool:
        known = cast("Any", other) if isinstance(other, pykka.ActorProxy) else None
        return known is not None and (known.actor_ref, known._attr_path) == (self.actor_ref, self._attr_path)

    def __hash__(self) -> int:
        return hash((self.actor_ref, self._attr_path))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "actor_ref" or name.startswith("_"):
            super().__setattr__(name, value)
            return
        message = ProxySetAttr(attr_path=(*self._attr_path, name), value=value)
        ref = cast("Any", self.actor_ref)
        if running_loop() is ref._cell.loop:  # noqa: SLF001
            ref.tell(message)
        else:
            ref.ask(message)
