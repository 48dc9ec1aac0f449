"""The text of the files of an event, for a prompt."""

from pathlib import Path

from actors.prompts.document import decode_text, document_block, unreadable
from protocols.plain_text import printable, size_text
from protocols.triggers import FileChanged


def text_of_files(event: FileChanged, most: int) -> str:
    """Return the texts of the files that were added or modified, as they are now, each in a block with its path.

    A file is whole or left out: one that does not fit is named with its size. One that has gone again is not named.

    Args:
        event: the event.
        most: bytes of all files together.

    Raises:
        PromptFileError: a file cannot be read, or is not text in UTF-8, or in UTF-16 with a byte order mark.
    """
    root, left, parts = Path(event.root), most, list[str]()
    for change in event.changes:
        path = root / change.path
        data = None if change.kind == "deleted" else _read(path, root, left)
        if isinstance(data, bytes):
            left -= len(data)
            parts.append(document_block(printable(change.path), decode_text(data, path)))
        elif data is not None:
            parts.append(
                f"File left out: {printable(change.path)} has {size_text(data)}; max_text is {size_text(most)} in all"
            )
    return "\n\n".join(parts)


def _read(path: Path, root: Path, most: int) -> bytes | int | None:
    """Return what a file holds, its size if that is more than `most`, or None if it has gone, or leads elsewhere.

    Raises:
        PromptFileError: it is there and cannot be read.
    """
    try:
        target = path.resolve(strict=True)
        if not (target.is_relative_to(root) and target.is_file()):
            return None
        with target.open("rb") as file:
            data = file.read(most + 1)
        return data if len(data) <= most else max(target.stat().st_size, len(data))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, RuntimeError) as error:  # a circle of links is a RuntimeError of Python before 3.13
        raise unreadable(path, error) from error
