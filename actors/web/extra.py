"""The error of a missing library of the extras ``web`` and ``prometheus``."""

from typing import Final

_LIBRARIES: Final = {"starlette": "web", "uvicorn": "web", "prometheus_client": "prometheus"}


class WebExtraError(ImportError):
    """A library that `actors.web` needs is not installed."""

    @classmethod
    def check(cls, error: ModuleNotFoundError) -> None:
        """Raise the error that names the extra if the extra brings the missing library."""
        library = (error.name or "").partition(".")[0]
        if library in _LIBRARIES:
            extra = f"install the extra: pip install 'understage[{_LIBRARIES[library]}]'"
            raise cls(f"actors.web needs {library}, which is not installed; {extra}", name=library) from error
