"""The mailbox of a durable node that lives here, or at another host of the cluster."""

import asyncio
from contextlib import suppress
from typing import Any, ClassVar

from msgspec.structs import replace

from actors.agents.agent import Agent
from actors.cluster.remote_run import RemoteRun, first_open
from actors.cluster.single_place import cut_off, forget
from actors.cluster.tenure import HostView, RemoteWindow, TenureWindow
from actors.durable.answers import Answers
from actors.durable.durable_mailbox import DurableMailbox
from actors.durable.failure import ended_elsewhere
from actors.durable.record import ASK_KIND, FORGET_KIND
from actors.nodes.node import AnyNode
from actors.runs.request import RunRequest
from actors.runtime.actor import AsyncioActor
from protocols.cluster import Lease
from protocols.durable import Durable
from protocols.ids import new_id
from protocols.journal import EndOutcome, Entry, JournalError
from protocols.messages import ChatMessage
from protocols.session import OWN


class HostMailbox(DurableMailbox):
    """Accepts the runs of a durable node at any host. It delivers during the tenures of this host.

    Args:
        host: this host.
        node: the node.
        name: its name in the journal.
        settings: how the node keeps its runs.
        **options: further ones of its windows.
    """

    tenure: ClassVar[type[TenureWindow]] = TenureWindow
    window: TenureWindow | RemoteWindow

    def __init__(self, host: HostView, node: AnyNode, name: str, settings: Durable, **options: Any) -> None:
        self._host = host
        self._options = {**options, "now": host.store.wall, "answers": Answers(node, host.store)}
        self.counted = 0
        """Its open messages, as they were counted last."""
        super().__init__(RemoteWindow(host, self, node, name, host.store, settings, **self._options), host.store, {})
        self.context.given = set()

    @property
    def is_working(self) -> bool:
        """True while a message is under way here."""
        return isinstance(self.window, TenureWindow) and self.window.is_working

    @property
    def busy(self) -> int:
        """Number of messages that are known to be open, if the node lives here."""
        return max(self._waiting, int(self.is_working))

    @property
    def _waiting(self) -> int:
        return max(self.counted, self.window.queue.open) if self.is_here else max(self.counted, len(self.answers.ids))

    # -- tenures --------------------------------------------------------------------------------------------------

    async def gain(self, lease: Lease) -> None:
        """Restore what the node remembers, and deliver. Raises JournalError."""
        self._forget()
        node, store = self.node, self._host.store
        sessions = node.execution.sessions if isinstance(node, Agent) else None
        if sessions is not None and sessions.load is not None and (own := await sessions.load(OWN)):
            sessions.own.replace(own)
        before = self.window
        window = self.tenure(self._host, lease, node, self.name, store.leased(lease), before.settings, **self._options)
        if not self._host.holds(lease):
            return
        self._replace(window)
        await before.close(0)
        await self.context.restore()
        given_up = await store.given_up(self.name)
        if self._host.holds(lease) and self.window is window:
            for id, outcome in given_up:  # the host of before may have passed them over for those that came later
                if not self.answers.is_awaited(id):
                    self.give_up(id, outcome)
            window.start()
        await self._find_all()

    def pause(self, lease: Lease) -> None:
        """Begin no more deliveries under a lease."""
        if isinstance(self.window, TenureWindow) and self.window.lease == lease:
            self.window.pause()

    async def lose(self, lease: Lease) -> None:
        """End a tenure: what is under way is cancelled, and callers wait for another host."""
        before = self.window
        if not isinstance(before, TenureWindow) or before.lease != lease:
            return
        store = self._host.store
        self._replace(RemoteWindow(self._host, self, self.node, self.name, store, before.settings, **self._options))
        await before.close(0)
        self._forget()
        await self._find_all()

    def _replace(self, window: TenureWindow | RemoteWindow) -> None:
        self.window = window
        window.freed = self._freed

    def _forget(self) -> None:
        """Forget what the node remembers; the journal has what counts."""
        cut_off(self.node)
        forget(self.node)
        self.context.given = set()

    async def _find_all(self) -> None:
        """See to it that all who wait are told, by this host or by another one."""
        await asyncio.gather(*(self.find(id) for id in self.answers.ids))  # one commit, however many wait

    # -- callers --------------------------------------------------------------------------------------------------

    async def find(self, id: bytes) -> None:
        """Tell those who wait how a message ended, or ends."""
        try:
            await self._host.store.expect(id)  # committed after its acceptance
        except JournalError as error:
            self.answers.fail(id, error)
            return
        self._host.expected[id] = self
        await self.answers.find(id)
        if not self.answers.has(id):
            self._host.expected.pop(id, None)

    def _asked(self, entry: Entry) -> Entry:
        return replace(entry, kind=ASK_KIND)  # the host that handles it does not know who waits here

    def _cancel(self, id: bytes) -> None:
        """Have its host end a run, unless callers at other hosts wait for it."""
        self.renounce(id, "cancelled", asyncio.CancelledError())

    def renounce(self, id: bytes, outcome: EndOutcome, error: BaseException) -> None:
        """Wait no more for a message; its host ends it when all who waited have said so."""
        self._host.expected.pop(id, None)
        self.answers.fail(id, error)
        self._host.store.give_up(id, outcome).then(lambda done: done.exception())

    async def told(self, id: bytes) -> None:
        """Tell those who wait for a message that is over."""
        try:
            await self.answers.look(id)
        except JournalError:  # the next look finds it
            self._host.expected[id] = self
        self._freed()

    async def forget(self, session: str) -> None:
        """Have the node forget a session, if it lives at another host. Raises JournalError."""
        if not self.is_here:
            kind, now = FORGET_KIND, self.window.now()
            entry = Entry(bytes.fromhex(new_id()), self.context.name, "", kind, session.encode(), now)
            await self._host.store.accept((entry,))

    def count(self, number: int) -> None:
        """Take note of how many messages of the node are open, wherever they were accepted."""
        self.counted = number
        self._freed()

    async def look(self, name: str) -> None:
        """Look for what another host has put into the mailbox of this name."""
        if self.is_here:
            with suppress(JournalError):  # the next look finds it
                if name == self.context.name:
                    await self.context.restore()
            self.window.look()

    def pass_on(self, actor: AsyncioActor, request: RunRequest, runs: object) -> None:
        """Have the host of the node do a run: a part is kept there, what is read or has durable=False is not."""

        async def ask(crossing: RunRequest, timeout: float | None) -> ChatMessage[Any]:
            return await self.ask(replace(crossing, run_id=await first_open(request, self._host.store)), timeout)

        is_part, is_read = request.kept is not None or request.parent_run_id, request.sink or request.follower
        is_kept = is_part and not is_read and request.options.durable is not False
        RemoteRun(request, ask if is_kept else self._host.live.ask, self._host.live.asks).begin(actor)

    def resume(self) -> None:
        """Deliver again after the leases were in doubt."""
        self.window.look()

    def give_up(self, id: bytes, outcome: EndOutcome) -> None:
        """End a message whose caller at another host waits no more."""
        self.window.end(id, outcome, ended_elsewhere(self.node.name, outcome))
