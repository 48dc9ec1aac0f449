"""The error of a supervision option. It is raised when the option is given, before anything starts."""

from typing import Self

from protocols.errors import ConfigError


class SupervisionOptionError(ConfigError, ValueError):
    """Raised when an option of supervision has an impossible value.

    It is about the configuration, not about a child that failed to start.
    """

    _whose = "{}"

    def __init__(self, subject: str, field: str, problem: str) -> None:
        super().__init__(f"{self._whose.format(subject)}: {problem}")
        self.subject = subject
        """Whose option it is."""
        self.field = field
        """Name of the refused option."""
        self.problem = problem
        """What is wrong, and what to do."""

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        return type(self), (self.subject, self.field, self.problem)
