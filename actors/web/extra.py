"""What the room says when the libraries it needs are not installed."""

from __future__ import annotations

from typing import Final

_LIBRARIES: Final = ("starlette", "uvicorn")


class WebExtraError(ImportError):
    """A library that `actors.web` needs is not installed."""

    def __init__(self, library: str) -> None:
        """Take the name of the library."""
        text = f"actors.web needs {library}, which is not installed; install the extra: pip install 'understudy[web]'"
        super().__init__(text, name=library)

    @classmethod
    def of(cls, error: ModuleNotFoundError) -> WebExtraError:
        """Make it from the failure of an import."""
        return cls(_library(error))

    @staticmethod
    def is_about(error: ModuleNotFoundError) -> bool:
        """Whether the extra brings what is missing."""
        return _library(error) in _LIBRARIES


def _library(error: ModuleNotFoundError) -> str:
    return (error.name or "").partition(".")[0]
