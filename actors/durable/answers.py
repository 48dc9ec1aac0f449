"""The answers of kept runs: who waits for them, in this process, and what the journal knows of earlier ones."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from actors.agents.model_answer import typed_answer
from actors.durable.failure import left_open, past_error
from actors.durable.record import decode_answer
from actors.runs.handle import NodeHandle
from actors.runtime.future import AsyncioFuture
from protocols.journal import JournalError, MailboxJournal
from protocols.messages import ChatMessage

Reply = AsyncioFuture[ChatMessage[Any]]


class Answers:
    """The answers that callers of one node wait for, by message. Any number of callers may wait for the same one."""

    def __init__(self, node: NodeHandle[Any, Any], journal: MailboxJournal) -> None:
        self._node = node
        self._journal = journal
        self._replies: defaultdict[bytes, list[Reply]] = defaultdict(list)
        self._callers: Counter[bytes] = Counter()
        self._loop = asyncio.get_running_loop()

    def reply(self, id: bytes) -> Reply:
        """Return a future of the answer of a message that is not settled, for one caller."""
        reply: Reply = AsyncioFuture(loop=self._loop)
        self._replies[id].append(reply)
        return reply

    def drop(self, id: bytes, reply: Reply) -> None:
        """Forget a caller that waits no more, so that any number of them leaves nothing behind."""
        waiting = self._replies.get(id, [])
        if reply in waiting:
            waiting.remove(reply)
            if not waiting:
                del self._replies[id]

    @property
    def ids(self) -> list[bytes]:
        """The messages whose answers are waited for."""
        return [*self._replies]

    def has(self, id: bytes) -> bool:
        """Return True if there is a future of the answer of a message."""
        return id in self._replies

    def is_awaited(self, id: bytes) -> bool:
        """Return True if a caller waits, so that a failure is told."""
        return self._callers[id] > 0

    def is_last(self, id: bytes) -> bool:
        """Return True if only one caller waits."""
        return self._callers[id] == 1

    @contextmanager
    def awaited(self, id: bytes, reply: Reply | None = None) -> Generator[Reply]:
        """Count a caller that waits, or is about to, so that a failure is not taken for a dead letter.

        Args:
            id: the message.
            reply: what the caller waits for; None for a future that is forgotten when it waits no more.
        """
        own = self.reply(id) if reply is None else reply
        self._callers[id] += 1
        try:
            yield own
        finally:
            self._callers[id] -= 1
            if not self._callers[id]:
                del self._callers[id]
            if reply is None:
                self.drop(id, own)

    async def wait(self, id: bytes, reply: Reply) -> ChatMessage[Any]:
        """Return the answer of a message, as soon as it is there.

        Raises:
            RunError: it has failed in another process, or the journal does not know it.
            Exception: what the run raised, in this process.
        """
        with self.awaited(id, reply):
            return await asyncio.shield(reply)

    async def find(self, id: bytes) -> None:
        """Tell those who wait how a message ended, if the journal knows."""
        try:
            await self.look(id)
        except JournalError as error:
            self.fail(id, error)

    async def look(self, id: bytes) -> None:
        """Do the same as `find`, but leave them waiting while the journal cannot be read. Raises JournalError."""
        found = await self._journal.find(id)
        if found is not None and found.outcome is None:
            return
        if found is None or found.outcome != "handled" or found.reply is None:
            self.fail(id, past_error(self._node.name, id.hex(), found))
            return
        try:
            self.tell(id, typed_answer(self._node, decode_answer(found.reply)))
        except Exception as error:  # those who wait are told
            self.fail(id, error)

    def tell(self, id: bytes, answer: ChatMessage[Any]) -> None:
        """Give an answer to all who wait for it."""
        for reply in self._replies.pop(id, ()):
            if not reply.done():
                reply.answer(answer)

    def fail(self, id: bytes, error: BaseException) -> None:
        """Give a failure to all who wait."""
        for reply in self._replies.pop(id, ()):
            reply.fail(error)

    def fail_all(self, error: BaseException) -> None:
        """Give one failure to all who wait for any message."""
        for id in tuple(self._replies):
            self.fail(id, error)

    def close(self) -> None:
        """Tell all who wait that their runs are kept."""
        self.fail_all(left_open(self._node.name))
