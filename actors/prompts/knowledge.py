"""Text that is made late: for every run by a function, or when its agent opens, as knowledge."""

import asyncio
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Self

from actors.prompts.document import document_block
from actors.runtime.daemon_thread import in_daemon_thread
from protocols.errors import ConfigError

LOAD_TIMEOUT: Final = 60.0
"""Seconds that loading one source may take."""

MOST_BYTES: Final = 1_000_000
"""Bytes of UTF-8 that all functions of one agent's knowledge may return together."""


class KnowledgeLimit:
    """The bytes of text that all sources of one agent share."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._used: dict[str, int] = {}

    def claim(self, label: str, size: int) -> None:
        """Claim bytes for one source. A later claim of the same source replaces the earlier one.

        Raises:
            ConfigError: all claims together are too large.
        """
        self._used[label] = size
        total = sum(self._used.values())
        if total > self.most_bytes:
            raise ConfigError(f"with {label!r} the knowledge has {total} bytes; max_bytes is {self.most_bytes}")


class FunctionPrompt:
    """A prompt that calls its function each time it is read."""

    def __init__(self, function: Callable[[], Any]) -> None:
        """Refuse an asynchronous function with a ConfigError."""
        if inspect.iscoroutinefunction(function):
            raise ConfigError(f"prompt function {getattr(function, '__name__', function)!r} must not be asynchronous")
        self._function = function

    def __prompt__(self) -> str:
        return str(self._function())


class KnowledgeSource:
    """Text of an address or a function that is made when its agent opens. A model reads it after that."""

    def __init__(
        self, label: str, load: Callable[[], Any], *, allowance: KnowledgeLimit, timeout: float = LOAD_TIMEOUT
    ) -> None:
        self.label = label
        self._load = load
        self._allowance = allowance
        self._timeout = timeout
        self._text = ""

    async def load(self) -> None:
        """Load the text.

        Raises:
            ConfigError: the text cannot be loaded in time, is empty, or is too long; the cause is chained.
        """
        try:
            async with asyncio.timeout(self._timeout):
                is_async = inspect.iscoroutinefunction(self._load)
                result: object = await (self._load() if is_async else in_daemon_thread(self._load))
                if inspect.isawaitable(result):
                    result = await result
        except TimeoutError as error:
            raise ConfigError(f"knowledge {self.label!r} could not be loaded within {self._timeout:g} s") from error
        except (Exception, SystemExit) as error:
            reason = error if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
            raise ConfigError(f"knowledge {self.label!r} cannot be loaded: {reason}") from error
        text = str(result)
        if result is None or not text.strip():
            raise ConfigError(f"knowledge {self.label!r} is empty")
        self._allowance.claim(self.label, len(text.encode("utf-8", "surrogatepass")))
        self._text = text

    async def __aenter__(self) -> Self:
        await self.load()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Keep the text: there is nothing to close."""

    def __prompt__(self) -> str:
        if not self._text:
            raise ConfigError(
                f"knowledge {self.label!r} has not been loaded; open the agent, or its pool, with `async with` first"
            )
        return document_block(self.label, self._text)

    def __repr__(self) -> str:
        return f"<KnowledgeSource {self.label!r}>"


def with_sources(knowledge: Sequence[object]) -> list[object]:
    """Return the knowledge with its functions as sources, which share `MOST_BYTES`."""
    allowance = KnowledgeLimit(MOST_BYTES)
    return [
        KnowledgeSource(item.__name__, item, allowance=allowance) if inspect.isroutine(item) else item
        for item in knowledge
    ]


def sources_in(knowledge: Sequence[object]) -> Iterator[KnowledgeSource]:
    """Yield the sources of the knowledge."""
    return (item for item in knowledge if isinstance(item, KnowledgeSource))
