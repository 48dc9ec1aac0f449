"""A prompt that a function makes for every run."""

import inspect
from collections.abc import Callable
from typing import Any

from protocols.errors import ConfigError


class FunctionPrompt:
    """A prompt that calls its function each time it is read."""

    def __init__(self, function: Callable[[], Any]) -> None:
        """Make a prompt.

        Args:
            function: returns the text.

        Raises:
            ConfigError: the function is asynchronous.
        """
        if inspect.iscoroutinefunction(function):
            message = f"prompt function {getattr(function, '__name__', function)!r} must not be asynchronous"
            raise ConfigError(message)
        self._function = function

    def __prompt__(self) -> str:
        return str(self._function())
