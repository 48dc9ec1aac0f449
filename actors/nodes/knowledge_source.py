"""Knowledge that is not there yet: text of an address or a function, loaded when its agent is opened."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Self

from protocols.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class KnowledgeSource:
    """Text that is made when its agent is opened. A model reads it as soon as it has been loaded."""

    def __init__(self, label: str, load: Callable[[], Any], *, most_bytes: int) -> None:
        """Take what it is called, a function that blocks or is async, and the bound on the text."""
        self.label = label
        self._load = load
        self._most_bytes = most_bytes
        self._text = ""

    async def load(self) -> None:
        """Make the text.

        Raises:
            ConfigError: it cannot be made, is empty, or is too long; the cause is chained.
        """
        try:
            if inspect.iscoroutinefunction(self._load):
                result = await self._load()
            else:
                result = await asyncio.to_thread(self._load)
        except Exception as error:
            msg = f"knowledge {self.label!r} cannot be loaded: {type(error).__name__}: {error}"
            raise ConfigError(msg) from error
        text = str(result)
        if not text.strip():
            msg = f"knowledge {self.label!r} is empty"
            raise ConfigError(msg)
        if len(text.encode("utf-8", "surrogatepass")) > self._most_bytes:
            msg = f"knowledge {self.label!r} has more than {self._most_bytes} bytes; raise max_bytes"
            raise ConfigError(msg)
        self._text = text

    async def __aenter__(self) -> Self:
        await self.load()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Keep the text: there is nothing to close."""

    def __prompt__(self) -> str:
        name = self.label.replace('"', "'")
        return f'<document name="{name}">\n{self._text.strip()}\n</document>' if self._text else ""

    def __repr__(self) -> str:
        return f"<KnowledgeSource {self.label!r}>"


def sources_in(knowledge: Sequence[object]) -> Iterator[KnowledgeSource]:
    """Yield what has to be loaded."""
    return (item for item in knowledge if isinstance(item, KnowledgeSource))
