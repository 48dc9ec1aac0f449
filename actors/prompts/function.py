"""A prompt that a function makes anew for every run."""

import inspect
from collections.abc import Callable
from typing import Any

from protocols.errors import ConfigError


class FunctionPrompt:
    """Says what a function returns at the time when it is read."""

    def __init__(self, function: Callable[[], Any]) -> None:
        """Take the function.

        Raises:
            ConfigError: it is asynchronous; a prompt is read at once.
        """
        if inspect.iscoroutinefunction(function):
            msg = f"prompt function {getattr(function, '__name__', function)!r} must not be asynchronous"
            raise ConfigError(msg)
        self._function = function

    def __prompt__(self) -> str:
        return str(self._function())
