"""`ChildOperationError`: a supervisor refuses an operation on one of its children."""

from typing import Any, Final

from actors.runtime.errors import Reject
from actors.supervision.strategies import Answer, Operation

_WORDS: Final = {
    Answer.OK: "it is done",
    Answer.ALREADY_STARTED: "a child of this name runs; choose another name, or terminate and delete it first",
    Answer.ALREADY_PRESENT: "a child of this name exists but does not run; use restart_child or delete_child",
    Answer.RUNNING: "it runs; terminate it first",
    Answer.RESTARTING: "it is being restarted; terminate it first, or wait",
    Answer.NOT_FOUND: "there is no child of this name",
}


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
