"""How often a node tries again."""

import builtins
import inspect
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from actors.config.import_path import import_text
from actors.config.section import Section
from actors.config.supervision import BackoffSpec
from actors.config.value import Positive
from protocols import errors


def error_named(name: str) -> type[Exception] | None:
    """Return an exception of Python or of Understage by its bare name; None for another text."""
    found = getattr(errors, name, None) or getattr(builtins, name, None)
    return found if inspect.isclass(found) and issubclass(found, Exception) else None


def _failure(value: str, info: ValidationInfo) -> str:
    return value if error_named(value) is not None else import_text(value, info)


FailureText = Annotated[str, AfterValidator(_failure)]
"""Name of an error of Python or of Understage, or an import string that `allow_imports` covers."""


class RetrySpec(Section):
    """How often a run tries again after a failure, and the waits between."""

    attempts: Positive = 3
    """Most attempts of one run, the first included."""
    on: tuple[FailureText, ...] = ("Exception",)
    """Failures after which it tries again: `ConnectionError`, `RunTimeoutError`, import strings of others."""
    backoff: BackoffSpec = Field(default_factory=BackoffSpec)
    """Wait before the second attempt, and its growth."""
