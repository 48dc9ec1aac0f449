"""Knowledge that is not there yet: text of an address or a function, loaded when its agent is opened."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Final, Self

from actors.prompts.document import document_block
from actors.runtime.daemon_thread import in_daemon_thread
from protocols.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LOAD_TIMEOUT: Final = 60.0
"""Seconds that loading one source may take."""


MOST_BYTES: Final = 1_000_000
"""Bytes of UTF-8 that the functions among the knowledge of an agent may return together."""


class Allowance:
    """How much text all sources of one agent may have together."""

    def __init__(self, most_bytes: int) -> None:
        """Take the bound."""
        self.most_bytes = most_bytes
        self._used: dict[str, int] = {}

    def claim(self, label: str, size: int) -> None:
        """Take note of the size of one source; a later claim of the same source replaces the earlier one.

        Raises:
            ConfigError: all together are too large.
        """
        self._used[label] = size
        total = sum(self._used.values())
        if total > self.most_bytes:
            msg = f"with {label!r} the knowledge has {total} bytes; max_bytes is {self.most_bytes}"
            raise ConfigError(msg)


class KnowledgeSource:
    """Text that is made when its agent is opened. A model reads it as soon as it has been loaded."""

    def __init__(
        self, label: str, load: Callable[[], Any], *, allowance: Allowance, timeout: float = LOAD_TIMEOUT
    ) -> None:
        """Take what it is called, a function that blocks or is async, the bound on the text, and seconds to load it."""
        self.label = label
        self._load = load
        self._allowance = allowance
        self._timeout = timeout
        self._text = ""

    async def load(self) -> None:
        """Make the text.

        Raises:
            ConfigError: it cannot be made in time, is empty, or is too long; the cause is chained.
        """
        try:
            async with asyncio.timeout(self._timeout):
                is_async = inspect.iscoroutinefunction(self._load)
                result: object = await (self._load() if is_async else in_daemon_thread(self._load))
                if inspect.isawaitable(result):
                    result = await result
        except TimeoutError as error:
            msg = f"knowledge {self.label!r} could not be loaded within {self._timeout:g} s"
            raise ConfigError(msg) from error
        except Exception as error:
            reason = error if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
            msg = f"knowledge {self.label!r} cannot be loaded: {reason}"
            raise ConfigError(msg) from error
        text = str(result)
        if result is None or not text.strip():
            msg = f"knowledge {self.label!r} is empty"
            raise ConfigError(msg)
        self._allowance.claim(self.label, len(text.encode("utf-8", "surrogatepass")))
        self._text = text

    async def __aenter__(self) -> Self:
        await self.load()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Keep the text: there is nothing to close."""

    def __prompt__(self) -> str:
        if not self._text:
            msg = f"knowledge {self.label!r} has not been loaded; open the agent, or its pool, with `async with` first"
            raise ConfigError(msg)
        return document_block(self.label, self._text)

    def __repr__(self) -> str:
        return f"<KnowledgeSource {self.label!r}>"


def with_sources(knowledge: Sequence[object]) -> list[object]:
    """Return what an agent is given, its functions as sources that together may have `MOST_BYTES`."""
    allowance = Allowance(MOST_BYTES)
    return [
        KnowledgeSource(item.__name__, item, allowance=allowance) if inspect.isroutine(item) else item
        for item in knowledge
    ]


def sources_in(knowledge: Sequence[object]) -> Iterator[KnowledgeSource]:
    """Yield what has to be loaded."""
    return (item for item in knowledge if isinstance(item, KnowledgeSource))
