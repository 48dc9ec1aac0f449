"""Output of a watched pool: answers on standard output, all else on standard error."""

import json
from collections.abc import Callable
from typing import Any

from actors.app import TriggerAnswer, answer_fields, readable
from actors.cli.exit_code import CommandError
from actors.cli.output import write
from actors.cli.progress import STEPS, TROUBLE, line_of, to_stderr
from actors.cli.redaction import one_line
from actors.runtime.system import ActorSystem
from actors.talk.signal import Signal
from protocols.events import StampedEvent


class WatchOutput:
    """Shows the events of a pool until it is closed.

    A closed output calls `on_failure` once, and `error` says why.
    """

    def __init__(self, *, shows_messages: bool, as_json: bool, on_failure: Callable[[], object]) -> None:
        self.error: CommandError | None = None
        """Why the output cannot be written; None while it can."""
        self.running: dict[str, str] = {}
        """The names of the triggers of running runs."""
        self._shows_messages = shows_messages
        self._as_json = as_json
        self._on_failure = on_failure

        self.answered: Signal[TriggerAnswer] = Signal("answered")
        """Called with the text for standard output."""
        if shows_messages:
            self.answered.connect(self._answer)

    def listen(self, system: ActorSystem) -> None:
        """Show the events of a system from now on."""
        system.events.subscribe(self._tell, STEPS if self._shows_messages else TROUBLE)

    def _answer(self, answer: TriggerAnswer) -> None:
        if self.error is not None:
            return
        try:
            write(_as_json(answer) if self._as_json else f"{answer.node}: {readable(answer.answer)}")
        except CommandError as error:
            self.error = error
            self._on_failure()

    def _tell(self, event: StampedEvent) -> None:
        trigger = self.running.get(event.run_id)
        is_trouble = event.run_id and isinstance(event, TROUBLE)
        where = f" ({f'trigger {one_line(trigger)}, ' if trigger else ''}run {event.run_id})" if is_trouble else ""
        to_stderr(line_of(event) + where)


def _as_json(given: TriggerAnswer) -> str:
    answer = given.answer
    document: dict[str, Any] = {
        "node": given.node,
        "trigger": given.trigger,
        "run_id": given.run_id,
        "event": given.event.__struct_config__.tag,
        **answer_fields(answer),
        "conversation_id": answer.conversation_id,
    }
    return json.dumps(document, ensure_ascii=False, default=str)
