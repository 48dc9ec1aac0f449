"""Knowledge that a manifest names: files as they are, addresses and functions as sources that are loaded later."""

from __future__ import annotations

import asyncio
import inspect
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from protocols.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from actors.config.knowledge import KnowledgeSpec
    from actors.config.prompt import PromptSpec
    from actors.pool.import_scope import ImportScope

_SECONDS = 30.0
_GLOB = frozenset("*?[")


class KnowledgeSource:
    """Text that is made when the pool is entered. A model reads it as soon as it has been loaded."""

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

    def __prompt__(self) -> str:
        name = self.label.replace('"', "'")
        return f'<document name="{name}">\n{self._text.strip()}\n</document>' if self._text else ""

    def __repr__(self) -> str:
        return f"<KnowledgeSource {self.label!r}>"


def knowledge_of(spec: KnowledgeSpec | None, root: Path, scope: ImportScope, node: str) -> list[object]:
    """Return what an agent is given: texts, paths and sources.

    Raises:
        ConfigError: a file is missing, the files are too large, or an import string leads nowhere.
    """
    if spec is None:
        return []
    files = [file for pattern in spec.paths for file in _files(pattern, root, node)]
    size = sum(file.stat().st_size for file in files)
    if size > spec.max_bytes:
        msg = f"node {node!r}: the files of its knowledge have {size} bytes; max_bytes is {spec.max_bytes}"
        raise ConfigError(msg)
    urls = [KnowledgeSource(url, _fetch(url, spec.max_bytes, node), most_bytes=spec.max_bytes) for url in spec.urls]
    calls = [KnowledgeSource(text, scope.function(text, node), most_bytes=spec.max_bytes) for text in spec.callables]
    return [*files, *urls, *calls, *(text_of(prompt, root, scope, node) for prompt in spec.prompts)]


def text_of(prompt: PromptSpec, root: Path, scope: ImportScope, node: str) -> Any:
    """Return the text of a prompt, or the function that makes it for every run.

    Raises:
        ConfigError: its file cannot be read, or its import string leads nowhere.
    """
    if prompt.callable is not None:
        return scope.function(prompt.callable, node)
    if prompt.file is None:
        return prompt.text or ""
    path = root / prompt.file
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"node {node!r}: the prompt file {str(path)!r} cannot be read: {error}"
        raise ConfigError(msg, node=node) from error


def sources_in(knowledge: Sequence[object]) -> Iterator[KnowledgeSource]:
    """Yield what has to be loaded."""
    return (item for item in knowledge if isinstance(item, KnowledgeSource))


def _files(pattern: str, root: Path, node: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if not _GLOB & set(pattern):
        file = root / path
        if not file.is_file():
            msg = f"node {node!r}: knowledge file {str(file)!r} does not exist"
            raise ConfigError(msg, node=node)
        return [file]
    base = Path(path.anchor) if path.is_absolute() else root
    relative = str(path.relative_to(path.anchor)) if path.is_absolute() else str(path)
    return sorted(file for file in base.glob(relative) if file.is_file())


def _fetch(url: str, most_bytes: int, node: str) -> Callable[[], str]:
    if urlsplit(url).scheme not in ("http", "https"):
        msg = f"node {node!r}: knowledge address {url!r} must begin with http:// or https://"
        raise ConfigError(msg, node=node)

    def fetch() -> str:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            data: bytes = answer.read(most_bytes + 1)
            return data.decode(answer.headers.get_content_charset() or "utf-8", "replace")

    return fetch
