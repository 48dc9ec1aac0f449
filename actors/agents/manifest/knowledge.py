"""The knowledge of a manifest: files as paths, addresses and functions as sources that are loaded later."""

from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from actors.agents.manifest.imports import ImportScope, refusal
from actors.config.knowledge import KnowledgeSpec
from actors.config.prompt import PromptSpec
from actors.config.yaml.file import matching, on_disk
from actors.prompts.knowledge import KnowledgeLimit, KnowledgeSource
from actors.prompts.web_page import check_address, fetch_text, shown
from protocols.errors import ConfigError

_MOST_FILES: Final = 1_000


def knowledge_of(spec: KnowledgeSpec | None, root: Path, scope: ImportScope, node: str) -> list[object]:
    """Return the knowledge of an agent: texts, paths and sources.

    Raises:
        ConfigError: a file is missing, the files are too large, an address is invalid, or an import fails.
    """
    if spec is None:
        return []
    files = [file for pattern in spec.paths for file in _files(pattern, root, node)]
    prompts = [text_of(prompt, root, scope, node) for prompt in spec.prompts if prompt.callable is None]
    functions = (*spec.callables, *(prompt.callable for prompt in spec.prompts if prompt.callable is not None))
    allowance = KnowledgeLimit(spec.max_bytes)
    try:
        for file in files:
            allowance.claim(str(file), file.stat().st_size)
        for number, prompt in enumerate(prompts):
            allowance.claim(f"prompt {number + 1}", len(str(prompt).encode("utf-8", "surrogatepass")))
        for url in spec.urls:
            check_address(url)
    except (OSError, ConfigError) as error:
        raise refusal(node, error) from error
    urls = [
        KnowledgeSource(shown(url), partial(fetch_text, url, most_bytes=spec.max_bytes), allowance=allowance)
        for url in spec.urls
    ]
    calls = [KnowledgeSource(text, scope.function(text, node), allowance=allowance) for text in functions]
    return [*files, *urls, *calls, *prompts]


def text_of(prompt: PromptSpec, root: Path, scope: ImportScope, node: str) -> Any:
    """Return the text of a prompt, or the function that makes the text for every run.

    Raises:
        ConfigError: the file cannot be read, or the import fails.
    """
    if prompt.callable is not None:
        return scope.function(prompt.callable, node)
    if prompt.file is None:
        return prompt.text or ""
    try:
        return on_disk(root, str(prompt.file)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        raise refusal(node, f"the prompt file {str(root / prompt.file)!r} cannot be read: {error}") from error


def _files(pattern: str, root: Path, node: str) -> list[Path]:
    try:
        found = sorted(set(islice(matching(root, pattern), _MOST_FILES + 1)))
    except (OSError, ValueError, RuntimeError) as error:
        raise refusal(node, f"knowledge {pattern!r} cannot be looked for: {error}") from error
    if len(found) > _MOST_FILES:
        raise refusal(node, f"knowledge {pattern!r} matches more than {_MOST_FILES} files; name fewer")
    if not found:
        raise refusal(node, f"knowledge {pattern!r} matches no file below {str(root)!r}; name what exists")
    return found
