"""Reading a manifest's bytes from the disk, with an error for everything that is not a readable text file."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from unicodedata import normalize

from actors.config.yaml.problem import InvalidManifestError, Mark, Problem
from actors.config.yaml.tree import DEFAULT_LIMITS, SourceLimits
from protocols.errors import ConfigError

_GLOB: Final = frozenset("*?[")


def from_home(path: str) -> Path:
    """Return a path whose `~` is replaced by the home folder.

    Raises:
        ConfigError: The user has no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"no home folder stands for the '~' of {path!r}; set HOME, or name another place") from error


def matching(root: Path, name: str) -> Iterator[Path]:
    """Yield the files that a name or pattern means. A link out of the pattern's folder and the root does not match.

    Raises:
        RuntimeError: No home folder stands for a name that begins with `~`.
    """
    path = on_disk(root, name)
    if path.is_file():
        yield path
    elif _GLOB & set(name):
        for spelled in dict.fromkeys(normalize(form, name) for form in ("NFC", "NFD")):
            pattern = Path(spelled).expanduser()
            parts = pattern.relative_to(pattern.anchor).parts
            place = next(index for index, part in enumerate(parts) if _GLOB & set(part))
            folder = (root / pattern.anchor).joinpath(*parts[:place])
            inside = (folder.resolve(), root.resolve())
            for file in folder.glob(str(Path(*parts[place:]))):
                if file.is_file() and any(file.resolve().is_relative_to(one) for one in inside):
                    yield file


def on_disk(folder: Path, name: str) -> Path:
    """Return the path of a name in a folder, spelled as the disk spells it: names from a Mac are decomposed.

    Raises:
        RuntimeError: No home folder stands for a name that begins with `~`.
    """
    path = folder / Path(name).expanduser()
    spelled = (folder / Path(normalize(form, name)).expanduser() for form in ("NFC", "NFD"))
    return path if path.exists() else next((other for other in spelled if other.exists()), path)


def read_text(path: Path, *, limits: SourceLimits = DEFAULT_LIMITS, mark: Mark | None = None) -> str:
    """Return the text of a regular file.

    Args:
        path: The file.
        limits: Its `bytes` bounds the file's size.
        mark: Where the file is named (an `INHERIT` line); errors point there instead of at the file.

    Raises:
        InvalidManifestError: The file is missing, unreadable, not regular, too large, or not UTF-8 text.
    """
    try:
        # Not blocking: opening a named pipe would otherwise wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:  # a descriptor, not a path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _problem(path, "is not a regular file", mark)
            data = file.read(limits.bytes + 1)
    except InvalidManifestError:
        raise
    except FileNotFoundError:
        raise _problem(path, "does not exist", mark) from None
    except IsADirectoryError:
        raise _problem(path, "is a directory; name the manifest file in it", mark) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _problem(path, f"cannot be read: {reason}", mark) from None
    if len(data) > limits.bytes:
        raise _problem(path, f"has more than {limits.bytes} bytes, which is the limit", mark)
    return _decode(data, path, mark)


def is_open_to_all(path: Path) -> bool:
    """Tell whether every user of the machine may change the file; never so on systems without such rights."""
    try:
        return os.name == "posix" and bool(path.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return False


def _decode(data: bytes, path: Path, mark: Mark | None) -> str:
    if b"\0" in data:
        raise _problem(path, f"is not text: byte {data.index(0)} is zero", mark)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _problem(path, f"is not UTF-8 text: byte {error.start} is {data[error.start]:#04x}", mark) from None


def _problem(path: Path, what: str, mark: Mark | None) -> InvalidManifestError:
    if mark is None:
        return InvalidManifestError([Problem(f"the file {what}", Mark(str(path), 0))])
    return InvalidManifestError([Problem(f"the file {str(path)!r} {what}", mark, "INHERIT")])
