"""Dead letters of a running pool, those in memory and those of its journal: looked at, and told again."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from functools import partial
from itertools import chain
from types import SimpleNamespace
from typing import Any, Final, cast

from msgspec import Struct
from msgspec.structs import asdict

from actors.app.journal_service import JournalService
from actors.app.presentation import readable
from actors.durable.durable_actor import DurableActor, DurableRef
from actors.durable.record import ASK_KIND, CONTEXT_KIND, RUN_KIND, UndecodableError, decode_run
from actors.pool.pool import AgentPool
from actors.runs.request import NO_OPTIONS, RunRequest
from actors.runtime.background_loop import current_system
from actors.runtime.dead_letters import DeadLetter
from actors.runtime.log import error_line
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.triggers.trigger import QueuedEvent
from protocols.context import enter
from protocols.errors import UnderstageError, limited_text
from protocols.ids import RunId, new_id
from protocols.journal import DeadEntry, Entry
from protocols.messages import is_message
from protocols.triggers import TriggerEvent

MOST: Final = 1_000
"""Dead letters that are shown."""
_PAGE: Final = 100
_TEXT: Final = 1_000
"""Bytes of a message that are shown."""
_ID: Final = 32
"""Digits of the id of a dead letter in a journal; those in memory have a short number."""
_KEPT: Final = (RunRequest.__name__, Entry.__name__)
"""What a durable node loses is in the journal of the pool, so it is not shown a second time."""


class DeadLetterError(UnderstageError):
    """A dead letter that cannot be told again; the text says which, why, and what to do."""


class DeadLetterRow(Struct, frozen=True):
    """A dead letter as it is shown. Times are seconds, `at` since the epoch."""

    id: str
    at: float
    """When the message became a dead letter."""
    target: str
    """Name of the actor or node that it was for."""
    sender: str
    """Name of the one that sent it; empty for a user."""
    message_type: str
    reason: str
    error: str
    """What failed, if that is known."""
    age: float
    """Time between its being sent and its end."""
    text: str
    """The message, cut to 1,000 bytes."""
    can_replay: bool
    replays: int
    """How often it was told again. One of a journal leaves this list when it is told again."""


async def read_dead_letters(pool: AgentPool[Any], most: int = MOST) -> Iterator[DeadLetterRow]:
    """Return the newest dead letters of the system of a pool, and those of its journal; each group oldest first.

    A row is made when it is taken, so take a few at a time.

    Raises:
        JournalError: the journal cannot be read.
    """
    service, after = pool.service(JournalService), 0
    entries: deque[DeadEntry] = deque(maxlen=most)
    journal = None if service is None else service.journal
    while journal is not None and (page := await journal.dead(after=after, limit=_PAGE)):
        entries.extend(page)
        after = page[-1].entry.seq
    letters = [one for one in system_of(pool).dead_letters if not _is_in_journal(one)][-most:]
    return chain((_of_journal(one, pool.name) for one in entries), map(_row, letters))


async def replay_dead_letter(pool: AgentPool[Any], id: str) -> str:
    """Tell the message of a dead letter again, once, and return what was done.

    It goes to the living actor or node of the same name, with the context variables that it came with. A run begins
    anew, for no caller; one of a journal is open again.

    Raises:
        DeadLetterError: the id is unknown, the message is not kept, or no such actor lives now.
        ActorStoppingError, MailboxFullError, JournalError: it was refused.
    """
    await asyncio.sleep(0)  # many are told again one after the other
    if len(id) == _ID:
        return await _reopen(pool, id)
    letter = next((one for one in system_of(pool).dead_letters if str(one.id) == id), None)
    if letter is None or _is_in_journal(letter):
        raise _unknown(id)
    if not _can_replay(letter):
        why = "its message was too large to be kept, or cannot be read; have it sent again from where it came from"
        raise DeadLetterError(f"dead letter {id} for {letter.target.name!r}: {why}")
    tell, context = _way(pool, letter), Context()
    context.run(enter, letter.carried)
    reply = context.run(tell)
    if asyncio.iscoroutine(reply):
        await asyncio.get_running_loop().create_task(reply, context=context)
    elif isinstance(reply, asyncio.Future) and reply.done():
        reply.result()  # refused
    letter.replays += 1
    return f"dead letter {id} was told to {letter.target.name!r} again"


def system_of(pool: AgentPool[Any]) -> ActorSystem:
    """Return the actor system that a pool runs in."""
    return pool.system or current_system()


def entry_text(entry: Entry, node: str) -> str:
    """Return the prompts of a kept run of a node; kind and size of another message."""
    if entry.kind in (RUN_KIND, ASK_KIND, CONTEXT_KIND):
        try:
            return " ".join(map(str, decode_run(entry.payload, cast("Any", SimpleNamespace(name=node))).prompts))
        except UndecodableError:
            pass
    return f"[{entry.kind}, {len(entry.payload):,} bytes]"


def _is_in_journal(letter: DeadLetter) -> bool:
    return letter.message_type in _KEPT and not isinstance(letter.target, ActorRef | DurableActor)


def _can_replay(letter: DeadLetter) -> bool:
    return letter.is_kept and not isinstance(letter.message, Entry)


def _of_journal(dead: DeadEntry, pool: str) -> DeadLetterRow:
    entry = dead.entry
    node, age = entry.mailbox.removeprefix(f"{pool}/"), dead.died - entry.accepted
    text = _cut(entry_text(entry, node))
    return DeadLetterRow(
        entry.id.hex(), dead.died, node, entry.sender, entry.kind, dead.reason, dead.error, age, text, True, 0
    )


def _row(letter: DeadLetter) -> DeadLetterRow:
    by = letter.sender
    sender = by if isinstance(by, str) else "" if by is None else by.name
    error = "" if letter.cause is None else error_line(letter.cause)
    text = _cut(limited_text(_text, letter.message, _TEXT)) if letter.is_kept else ""
    return DeadLetterRow(
        str(letter.id), letter.at, letter.target.name, sender, letter.message_type, str(letter.reason), error,
        letter.age, text, _can_replay(letter), letter.replays,
    )  # fmt: skip


def _text(message: Any) -> str:
    if isinstance(message, RunRequest):
        return " ".join(map(_text, message.prompts))
    message = message.event if isinstance(message, QueuedEvent) else message
    if isinstance(message, TriggerEvent):
        return message.to_prompt()
    return message if isinstance(message, str) else readable(message) if is_message(message) else repr(message)


def _cut(text: str) -> str:
    data = text.encode("utf-8", "replace")
    return data.decode() if len(data) <= _TEXT else f"{data[: _TEXT - 3].decode('utf-8', 'ignore')}…"


def _way(pool: AgentPool[Any], letter: DeadLetter) -> Callable[[], object]:
    """Return what tells a message again."""
    message, target = letter.message, letter.target
    if isinstance(target, DurableActor):
        return partial(_actor(system_of(pool), letter).send, message.prompts[0])
    if isinstance(message, RunRequest):
        given = {key: value for key, value in asdict(message.options).items() if value is not getattr(NO_OPTIONS, key)}
        given["conversation_id"] = message.conversation_id
        return partial(_node(pool, letter, message.node).post, message.prompts, **given)
    if not isinstance(target, ActorRef):
        return partial(_node(pool, letter, target).post, (message,))
    if isinstance(message, TriggerEvent):
        message = QueuedEvent(message, RunId(new_id()))
    ref = _actor(system_of(pool), letter)
    return partial(ref.send if isinstance(ref, DurableRef) else ref.tell, message)


def _node(pool: AgentPool[Any], letter: DeadLetter, own: Any) -> Any:
    """Return the node of the pool that has the name of the target now, or the target itself, if it lives."""
    node: Any = pool.nodes.get(own.name, own)
    if node.home.find() is None:
        raise _gone(letter)
    return node


def _actor(system: ActorSystem, letter: DeadLetter) -> ActorRef[Any]:
    ref: ActorRef[Any] = letter.target.cell.ref if isinstance(letter.target, DurableActor) else letter.target
    if ref.is_alive():
        return ref
    named = system.get(ref.name)
    found = [named] if named else [one for one in system.actors() if one.name == ref.name and one.is_alive()]
    if len(found) != 1:
        raise _gone(letter, len(found))
    return found[0]


def _gone(letter: DeadLetter, many: int = 0) -> DeadLetterError:
    who = f"{many} actors have that name" if many else "no actor of that name lives now; start it, then tell it again"
    return DeadLetterError(f"dead letter {letter.id} for {letter.target.name!r}: {who}")


def _unknown(id: str) -> DeadLetterError:
    return DeadLetterError(f"dead letter {id!r:.80} is unknown: it is too old to be kept, or has been told again")


async def _reopen(pool: AgentPool[Any], id: str) -> str:
    service = pool.service(JournalService)
    try:
        key = bytes.fromhex(id)
    except ValueError:
        raise _unknown(id) from None
    opened = [] if service is None or service.journal is None else await service.journal.replay([key])
    if service is None or not opened:
        raise _unknown(id)
    service.look()
    return f"dead letter {id} is open again, for {opened[0].mailbox!r}"
