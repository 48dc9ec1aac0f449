"""Write the messages of a connection to files."""

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from actors.config.connection import FileConnection
from actors.config.template import render_path_template, render_template
from protocols.errors import NodeError
from protocols.messages import ChatMessage

# Neither wait nor follow a link: a named pipe would block the writer for ever, a link lead it out of the folder.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_DIRECTORY


class FileWriter:
    """Appends messages to a file, one after the other. It blocks, so it runs in a thread.

    A relative path stays below the folder of the manifest, also where links lead out.

    Args:
        spec: what to write, and where.
        root: folder of the manifest.
        source: name of the node that sends the messages.
    """

    def __init__(self, spec: FileConnection, root: Path, source: str) -> None:
        self._spec = spec
        self._root = root
        self._source = source

    def __call__(self, message: ChatMessage[Any]) -> str:
        """Append a message and return the path.

        Raises:
            NodeError: the path leads out of the folder of the manifest, or is not a regular file.
            OSError: the file cannot be written.
        """
        time = message.timestamp.astimezone()
        values = {
            "content": message.text,
            "name": message.name or self._source,
            "role": message.role,
            "date": f"{time:%Y-%m-%d}",
            "time": f"{time:%H-%M-%S}",
            "timestamp": time.isoformat(timespec="seconds"),
            "agent": self._source,
            "cost": message.cost_info.total_cost if message.cost_info is not None else 0,
            "tokens": message.usage.total_tokens,
        }
        path = self._root / render_path_template(self._spec.path, values)
        text = render_template(self._spec.template, values)
        if os.path.isabs(self._spec.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append(path, text)
            return str(path)
        root, folder = self._root.resolve(), path.parent.resolve()
        if not folder.is_relative_to(root):
            raise self._error(path, f"is not below {str(self._root)!r}: a folder in it is a link that leads out")
        with _opened(root, folder.relative_to(root).parts) as descriptor:
            self._append(path, text, descriptor)
        return str(path)

    def _append(self, path: Path, text: str, folder: int | None = None) -> None:
        try:
            descriptor = os.open(path if folder is None else path.name, _FLAGS, 0o666, dir_fd=folder)
        except OSError as error:
            raise self._error(path, f"cannot be written: {error.strerror}") from error
        with open(descriptor, "a", encoding=self._spec.encoding, errors="backslashreplace") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise self._error(path, "is no regular file")
            file.write(text)

    def _error(self, path: Path, what: str) -> NodeError:
        return NodeError(f"node {self._source!r}: the file {str(path)!r} of its connection {what}", node=self._source)


@contextmanager
def _opened(root: Path, parts: tuple[str, ...]) -> Generator[int]:
    """Open a folder step by step from the root, so that none of them can become a link meanwhile."""
    current = os.open(root, _FOLDER)
    try:
        for part in parts:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=current)
            below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)
