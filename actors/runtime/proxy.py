"""Pykka's proxy, which serves an actor over all its lives."""

from typing import Any, cast

import pykka
from pykka.messages import ProxySetAttr

from actors.runtime.clock import running_loop
from actors.runtime.outcome import ended_error
from protocols.handle import Handle


class Proxy(Handle, pykka.ActorProxy[Any]):
    """Pykka's proxy over all lives of an actor; setting an attribute on the loop is a tell."""

    def __init__(self, *, actor_ref: Any, attr_path: tuple[str, ...] = ()) -> None:
        if not actor_ref.is_alive():
            raise ended_error(actor_ref._cell, "not found", actor_ref)  # noqa: SLF001 - a part of the engine
        super().__init__(actor_ref=actor_ref, attr_path=attr_path)

    @property
    def _actor(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The actor object of now."""
        return cast("Any", self.actor_ref)._actor_weakref()  # noqa: SLF001

    @_actor.setter
    def _actor(self, _actor_of_now: Any) -> None:
        """Keep nothing of one life."""

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if type(found) is pykka.ActorProxy:  # which would keep the actor object
            path = (*self._attr_path, name)
            found = self._actor_proxies[path] = Proxy(actor_ref=self.actor_ref, attr_path=path)
        return found

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
