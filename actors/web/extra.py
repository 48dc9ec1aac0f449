"""The error of a missing library of the extra ``web``."""

from __future__ import annotations

from typing import Final

_LIBRARIES: Final = ("starlette", "uvicorn")


class WebExtraError(ImportError):
    """A library that `actors.web` needs is not installed."""

    @classmethod
    def of(cls, error: ModuleNotFoundError) -> WebExtraError | ModuleNotFoundError:
        """Return the error that names the extra, or `error` itself if the extra does not bring what is missing."""
        library = (error.name or "").partition(".")[0]
        if library not in _LIBRARIES:
            return error
        extra = "install the extra: pip install 'understudy[web]'"
        return cls(f"actors.web needs {library}, which is not installed; {extra}", name=library)
