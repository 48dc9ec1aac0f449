"""From the prompts that users pass to `run` to the content that a model reads.

==========================  =================================================================================
given                       becomes
==========================  =================================================================================
str                         itself
ChatMessage                 its text; a team's answer as blocks ``[name]: content`` separated by empty lines, the
                            blocks of a team inside it indented
Path                        text files: ``<document name="..."> ... </document>``; media: binary content
object with `__prompt__`    what that method returns
pydantic model, dataclass,  JSON
struct, dict, set, bool
list, tuple                 its items; inside a message or a value: JSON, or one text per line
BinaryContent, ImageUrl...  itself
None                        nothing
anything else               its `str()`
==========================  =================================================================================

Parts are joined by an empty line. The block with a document's name is the one format for named sources; the offline
model reads it, and every LLM understands it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from inspect import isroutine
from pathlib import Path, PurePath
from typing import Any, cast

from pydantic_ai.messages import BinaryContent, UserContent, is_multi_modal_content

from actors.prompts.document import file_part
from actors.runtime.daemon_thread import in_daemon_thread
from protocols.content_text import value_text
from protocols.errors import EmptyPromptError, PromptError
from protocols.messages import ChatMessage

_MAX_DEPTH = 32  # a list that contains itself ends in an error, not in a RecursionError


def user_content(prompts: Iterable[object]) -> str | list[UserContent]:
    """Turn *prompts* into one user prompt: text if all parts are text, else a list of parts in the given order.

    Raises:
        EmptyPromptError: the prompts hold only blanks.
        PromptFileError: a file cannot be used.
        PromptError: bytes without a media type, a function, a class, or a list nested without end.
    """
    given = list(prompts)
    parts = _joined(part for part in _parts(given) if not isinstance(part, str) or part.strip())
    if not parts:
        raise EmptyPromptError(f"empty prompt: {len(given)} given, none holds any text; pass at least one that does")
    return parts[0] if len(parts) == 1 and isinstance(parts[0], str) else parts


async def load_user_content(prompts: Iterable[object]) -> str | list[UserContent]:
    """Do the same as `user_content` without blocking the event loop: a thread reads the files."""
    given = list(prompts)
    if any(isinstance(item, PurePath) for item in _flat(given, 0)):
        return await in_daemon_thread(user_content, given)
    return user_content(given)


def prompt_text(content: str | Iterable[UserContent]) -> str:
    """Return user content as text for pickers, logs and messages. Media appear by name only."""
    if isinstance(content, str):
        return content
    return "\n\n".join(part if isinstance(part, str) else _media_text(part) for part in content)


def _media_text(part: UserContent) -> str:
    if isinstance(part, BinaryContent):
        return f"[{part.media_type}: {part.identifier}]"
    return f"[{getattr(part, 'url', None) or type(part).__name__}]"


def _parts(items: Iterable[object]) -> Iterator[UserContent]:
    flat = list(_flat(items, 0))
    names = Counter(item.name for item in flat if isinstance(item, PurePath))
    for item in flat:
        if isinstance(item, PurePath):
            yield file_part(Path(item), item.name if names[item.name] == 1 else str(item))
        elif is_multi_modal_content(item):
            yield item
        else:
            yield _text(item)


def _flat(items: Iterable[object], depth: int) -> Iterator[object]:
    if depth > _MAX_DEPTH:
        raise PromptError(f"prompt: lists are nested more than {_MAX_DEPTH} deep; pass the items themselves")
    for item in items:
        if isinstance(item, ChatMessage):
            given: Any = item  # pyright: ignore[reportUnknownVariableType] # isinstance loses the parameter
            yield from _flat(_message_parts(given), depth + 1)
        elif isinstance(item, list | tuple):
            yield from _flat(cast("Sequence[object]", item), depth + 1)
        elif item is not None:
            yield item


def _message_parts(message: ChatMessage[Any]) -> Sequence[object]:
    content: object = message.content
    if isinstance(content, list | tuple):
        items = cast("Sequence[object]", content)
        return items if any(map(is_multi_modal_content, items)) else [message.text]
    return [content]


def _text(item: object) -> str:
    if isinstance(item, bytes | bytearray | memoryview):
        raise PromptError("prompt: bytes have no media type; pass BinaryContent(data, media_type=...) or a Path")
    if isroutine(item) or isinstance(item, type):
        raise PromptError(f"prompt: {item!r} is no text; call it, and pass what it returns")
    return value_text(item)


def _joined(parts: Iterable[UserContent]) -> list[UserContent]:
    joined: list[UserContent] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] = f"{joined[-1]}\n\n{part}"
        else:
            joined.append(part)
    return joined
