"""Files as parts of a prompt: text as a named block, pictures, documents and sound as binary content."""

from collections.abc import Mapping
from pathlib import Path

from pydantic_ai.messages import BinaryContent

from protocols.errors import PromptFileError

MAX_FILE_BYTES = 10 * 1024 * 1024
"""Size of the largest file in a prompt."""

MEDIA_TYPES: Mapping[str, str] = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
    ".pdf": "application/pdf", ".mp3": "audio/mpeg", ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg",
    ".aac": "audio/aac", ".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
}  # fmt: skip
"""Endings of files that are sent as binary content. Every other file must be text."""

_MARKS = (("utf-8-sig", b"\xef\xbb\xbf"), ("utf-16", b"\xff\xfe"), ("utf-16", b"\xfe\xff"))


def file_part(path: Path, name: str | None = None) -> str | BinaryContent:
    """Read one file as part of a prompt.

    Args:
        path: the file; ``~`` is the user's home.
        name: name in the prompt; the name of the file by default.

    Raises:
        PromptFileError: the file is missing, unreadable, empty, larger than `MAX_FILE_BYTES`, or neither text
            (UTF-8, or UTF-16 with a byte order mark) nor of a type in `MEDIA_TYPES`.
    """
    data = _read(path)
    media_type = MEDIA_TYPES.get(path.suffix.lower())
    name = name or path.name
    if media_type is not None:
        return BinaryContent(data, media_type=media_type, identifier=name)
    return document_block(name, decode_text(data, path))


def document_block(name: str, text: str) -> str:
    """Wrap *text* in the block that marks a named source: ``<document name="..."> ... </document>``.

    Closing marks inside the text get a blank, so a text cannot end its own block.
    """
    label = name.replace('"', "'").replace("\n", " ")
    return f'<document name="{label}">\n{text.replace("</document", "< /document").strip()}\n</document>'


def _read(path: Path) -> bytes:
    try:
        path = path.expanduser()
        size = path.stat().st_size
        if not path.is_file():
            raise _error(path, "is not a regular file; name the files one by one")
        if size > MAX_FILE_BYTES:
            raise _error(path, f"has {size:,} bytes; at most {MAX_FILE_BYTES:,} are read, so split it")
        data = path.read_bytes()
    except FileNotFoundError:
        raise _error(path, f"does not exist (looked in {path.parent.resolve()})") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise unreadable(path, error) from error
    if not data.strip():
        raise _error(path, "is empty")
    return data


def decode_text(data: bytes, path: Path) -> str:
    """Return what a file holds as text.

    Raises:
        PromptFileError: it is neither UTF-8, nor UTF-16 with a byte order mark.
    """
    encoding = next((name for name, mark in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        problem = f"is neither {encoding} text (byte {error.start}) nor of a known type ({', '.join(MEDIA_TYPES)})"
        raise _error(path, problem) from error
    if "\0" in text:
        raise _error(path, f"is binary and of no known type ({', '.join(MEDIA_TYPES)})")
    return text


def unreadable(path: Path, error: Exception) -> PromptFileError:
    """Return the error of a file that cannot be read."""
    return _error(path, f"cannot be read: {getattr(error, 'strerror', None) or error}")


def _error(path: Path, problem: str) -> PromptFileError:
    return PromptFileError(f"prompt file {str(path)!r} {problem}")
