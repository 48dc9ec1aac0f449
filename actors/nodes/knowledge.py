"""Knowledge that a manifest names: files as they are, addresses and functions as sources that are loaded later."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from actors.nodes.knowledge_source import KnowledgeSource
from protocols.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.config.knowledge import KnowledgeSpec
    from actors.config.prompt import PromptSpec
    from actors.nodes.import_scope import ImportScope

_SECONDS = 30.0
_GLOB = frozenset("*?[")


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
