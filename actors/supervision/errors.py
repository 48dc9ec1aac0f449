"""What a supervisor refuses: an impossible option before anything starts, an operation on one of its children."""

from typing import Any, Final, Self

from actors.runtime.errors import Reject
from actors.supervision.strategies import Answer, Operation
from protocols.errors import ConfigError

_WORDS: Final = {
    Answer.OK: "it is done",
    Answer.ALREADY_STARTED: "a child of this name runs; choose another name, or terminate and delete it first",
    Answer.ALREADY_PRESENT: "a child of this name exists but does not run; use restart_child or delete_child",
    Answer.RUNNING: "it runs; terminate it first",
    Answer.RESTARTING: "it is being restarted; terminate it first, or wait",
    Answer.NOT_FOUND: "there is no child of this name",
}


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


class ChildOperationError(Reject):
    """Raised when an operation does not fit the state of a child. Nothing was changed; the supervisor continues."""

    def __init__(self, supervisor: str, operation: Operation, child: str, answer: Answer, ref: Any = None) -> None:
        super().__init__(f"supervisor {supervisor!r} cannot {operation} child {child!r}: {_WORDS[answer]}")
        self.operation: Operation = operation
        self.child = child
        """Name of the child."""
        self.answer = answer
        """The reason as a word."""
        self.ref = ref
        """The child that prevents the operation, if there is one."""
