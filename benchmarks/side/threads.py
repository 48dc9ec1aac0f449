"""Pykka's ThreadingActor: one thread per actor."""

from __future__ import annotations

from typing import Any

import pykka


class Echo(pykka.ThreadingActor):
    """Answers with what it gets."""

    def on_receive(self, message: Any) -> Any:
        """Return the message."""
        return message


def stop_all(refs: list[pykka.ActorRef[Any]]) -> None:
    """Stop all of them together and wait until they have stopped."""
    for future in [ref.stop(block=False) for ref in refs]:
        future.get()


class Stage(pykka.ThreadingActor):
    """Makes a text upper case, and asks the next stage, if there is one."""

    def __init__(self, target: pykka.ActorRef[Any] | None) -> None:
        super().__init__()
        self.target = target

    def on_receive(self, message: str) -> Any:
        """Return the end of the chain's answer."""
        text = message.upper()
        return self.target.ask(text) if self.target else text
