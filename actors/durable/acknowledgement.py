"""What ends a kept message: one transaction with the answer, the outbox, and the memory of the agent."""

from typing import Any

from actors.agents.agent import Agent
from actors.agents.memory import dump_messages
from actors.durable.failure import encode_failure
from actors.durable.kept_run import KeptRun
from actors.durable.outbox import Outbox
from actors.durable.record import encode_answer
from actors.runs.request import RunRequest
from protocols.errors import cause_text
from protocols.journal import Acknowledgement, EndOutcome
from protocols.messages import ChatMessage
from protocols.session import OWN


def memory_name(mailbox: str, session: str) -> str:
    """Return the name in the journal of the memory of a session."""
    return mailbox if session == OWN else f"{mailbox}#{session}"


def handled(
    id: bytes, mailbox: str, request: RunRequest, answer: ChatMessage[Any], outbox: Outbox | None, run: KeptRun | None
) -> Acknowledgement:
    """Return the acknowledgement of a run that has an answer."""
    return Acknowledgement(
        id,
        "handled",
        encode_answer(answer),
        outbox=() if outbox is None else tuple(outbox.entries),
        steps_of=id if run is not None and run.has_steps else None,
        memory=_memory(mailbox, request, answer),
        also=() if run is None else tuple(run.also),
    )


def _memory(mailbox: str, request: RunRequest, answer: ChatMessage[Any]) -> tuple[tuple[str, bytes], ...]:
    node, session = request.node, request.options.memory
    remembers = isinstance(node, Agent) and node.execution.sessions is not None
    if not remembers or session is None or request.options.store_history is False or not answer.messages:
        return ()
    return ((memory_name(mailbox, session), dump_messages(answer.messages)),)


def failed(
    id: bytes, outcome: EndOutcome, error: BaseException | None, run: KeptRun | None, *, is_dead: bool
) -> Acknowledgement:
    """Return the acknowledgement of a message without an answer. A dead letter keeps its payload."""
    text = None if error is None else cause_text(error)
    reply = None if error is None else encode_failure(error)
    steps_of = id if run is not None and run.has_steps else None
    also = () if run is None else tuple(run.also)
    return Acknowledgement(id, outcome, reply, text, is_dead=is_dead, steps_of=steps_of, also=also)
