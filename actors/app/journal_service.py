"""The journal of a running pool: its durable nodes keep what they have accepted, and go on where a process ended."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Self

from actors.agents.agent import Agent
from actors.agents.memory import load_messages
from actors.app.journal_paths import open_journal
from actors.app.journal_watch import JournalWatch
from actors.config.journal import JournalSpec
from actors.config.manifest import Manifest
from actors.durable.acknowledgement import memory_name
from actors.durable.delivery_window import DeliveryWindow
from actors.durable.durable_mailbox import DurableMailbox, id_of
from actors.nodes.node import AnyNode
from actors.pool.registry import NodeRegistry
from actors.pool.services import Health, PoolService
from actors.runs.durable import Ticket
from actors.runtime.background_loop import current_system
from protocols.errors import ConfigError, ManifestError, RunError
from protocols.journal import MailboxJournal, NotDurableError
from protocols.limits import MAX_LIMIT
from protocols.session import OWN

_log = logging.getLogger("understage.journal")
_NO_SPEC = JournalSpec()


class JournalService(PoolService):
    """The journal of a pool whose manifest has `journal`; without it, a durable node is refused.

    It is entered before the nodes start and left after they have stopped, so that their last acknowledgements are kept.

    Args:
        pool: the pool.
        make: makes the journal of a manifest; None for a manifest without one.
        actor: the name that Ray has for this process, if Ray has started it as a host.
    """

    def __init__(
        self,
        pool: NodeRegistry,
        make: Callable[[Manifest], MailboxJournal | None] = open_journal,
        actor: str | None = None,
    ) -> None:
        self._pool: Any = pool
        self._make = make
        self._actor = actor
        self.journal: MailboxJournal | None = None
        """The open journal; None for a pool without one."""
        self.host: Any = None
        """This process, as a host of a cluster; None for a pool in one process."""
        self.mailboxes: dict[AnyNode, DurableMailbox] = {}
        """The durable nodes, each with its first mailbox."""
        self.all_mailboxes: dict[str, DurableMailbox] = {}
        """All mailboxes by name: a node that lives at all hosts has several."""
        self.places: dict[AnyNode, Any] = {}
        """The nodes that keep nothing, and live at one host of the cluster at a time."""
        self._counts: dict[str, int] = {}
        self._turn = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._watch: JournalWatch | None = None

    @property
    def _spec(self) -> JournalSpec:
        spec: JournalSpec | None = self._pool.manifest.journal
        return spec or _NO_SPEC

    @property
    def kept(self) -> dict[str, int]:
        """Messages that durable nodes which live here have accepted and not yet handled, by node."""
        here = (
            (node, [one.open for one in first.parts if one.window.is_here]) for node, first in self.mailboxes.items()
        )
        return {node.name: sum(open) for node, open in here if open}

    @property
    def numbers(self) -> dict[str, dict[str, int]]:
        """The messages that wait, and the hosts and shards of a cluster, for metrics."""
        found = {"understage.durable.open": self.kept}
        if self.host is not None:
            name, leases = self.host.about.name, self.host.leases
            found["understage.cluster.hosts"] = {name: len(leases.hosts)}
            found["understage.cluster.shards"] = {name: len(leases.leases)}
        return found

    @property
    def health(self) -> Health:
        """The health of the journal: ``unavailable`` when it writes no more; or why a host loses its nodes."""
        if self.journal is not None and self.journal.statistics().broken:
            return "unavailable"
        if self.host is not None and self.host.leases.is_draining:
            return "draining"
        if self.host is not None and not self.host.leases.is_certain:
            return "disconnected"
        return "degraded" if self._watch is not None and self._watch.is_stalled else "ready"

    async def __aenter__(self) -> Self:
        journal = self._make(self._pool.manifest)
        if journal is not None:
            await self._open(journal)
        return self

    async def _open(self, journal: MailboxJournal) -> None:
        await journal.open()
        self.journal, self._turn = journal, asyncio.Lock()
        manifest = self._pool.manifest
        if manifest.is_clustered:
            from actors.cluster.host import host_of  # a pool in one process imports nothing of it

            self.host = host_of(journal, manifest, self._pool.name, self._pool.fail, self._actor)
        else:
            self._counts = await journal.counts()
        now = getattr(journal, "wall", time.time)
        self._watch = JournalWatch(journal, self._spec.keep, self.all_mailboxes, self._pool.fail, now)

    async def __aexit__(self, *_exc: object) -> None:
        if self.host is not None:
            await self.host.end()
        for node in (*self.mailboxes, *self.places):
            self.left(node)
        await asyncio.gather(*self._closing)
        journal, self.journal = self.journal, None
        if journal is not None:
            await journal.close()

    # -- the nodes of the pool ------------------------------------------------------------------------------------

    async def opening(self, node: AnyNode) -> None:
        """Give a durable node its mailbox, and an agent what it remembers.

        Raises:
            NotDurableError: the pool has no journal.
            JournalError: the journal cannot be read.
        """
        settings, name = node.definition.settings.durable, f"{getattr(self._pool, 'name', 'pool')}/{node.name}"
        is_placed = settings is not None or node.definition.settings.placement == "single"
        if is_placed and self._is_unknown(node):
            text = f"node {node.name!r} is not in the manifest, so the hosts that Ray runs do not know it; add it there"
            raise NotDurableError(text, node=node.name)
        if settings is None or node in self.mailboxes:
            self._settle(node, name)
            return
        if self.journal is None:
            advice = "add `journal: true` to the manifest, or make AgentPool(journal=True)"
            text = f"node {node.name!r} is durable, but its pool has no journal: {advice}"
            raise NotDurableError(text, node=node.name)
        options: dict[str, Any] = {"deliveries": self._spec.deliveries, "turn": self._turn}
        if isinstance(node, Agent):
            self._remember(node, name, self.journal)
        if self.host is not None and self._is_spread(node):
            if _lasts(node):
                text = "remembers or works on one run at a time, so it cannot be durable with placement='anywhere'"
                raise NotDurableError(f"node {node.name!r} {text}: say 'single'", node=node.name)
            from actors.cluster.spread_runs import SpreadRuns  # as the host, only in a cluster

            node.durable = runs = SpreadRuns(self.host, node, name, settings, **options)
            mailbox: DurableMailbox = runs.parts[0]
        elif self.host is not None:  # which restores it when it begins to live here
            node.durable = node.place = mailbox = self.host.mailbox(node, name, settings, **options)
        else:
            window = DeliveryWindow(node, name, self.journal, settings, **options)
            node.durable = mailbox = DurableMailbox(window, self.journal, self._counts)
            await self._restore(node, mailbox)
        self.mailboxes[node] = mailbox
        self.all_mailboxes |= {one.name: one for one in mailbox.parts}

    def _is_unknown(self, node: AnyNode) -> bool:
        """Return True if this process only asks, and the hosts have nothing of a node but the manifest."""
        return self.host is not None and self.host.about.is_caller and node.name not in self._pool.manifest.nodes

    def _is_spread(self, node: AnyNode) -> bool:
        return self.host is not None and node.definition.settings.placement == "anywhere"

    def _settle(self, node: AnyNode, name: str) -> None:
        if self._is_single(node) and node not in self.places:
            from actors.cluster.single_place import SinglePlace  # as the host, only in a cluster

            self.places[node] = node.place = SinglePlace(self.host, node, name)

    def _is_single(self, node: AnyNode) -> bool:
        """Return True if a node that keeps nothing lives at one host at a time, as it says or has to."""
        settings = node.definition.settings
        if self.host is None or settings.durable is not None:
            return False
        if settings.placement is not None or not _lasts(node):
            return settings.placement == "single"
        if node.name in self._pool.nodes and node.name not in self._pool.manifest.nodes:
            text = "remembers or works on one run at a time: say where it lives in the cluster, by durable=True, "
            raise ConfigError(f"node {node.name!r} {text}placement='single' or placement='anywhere'")
        return node.name in self._pool.manifest.nodes

    async def _restore(self, node: AnyNode, mailbox: DurableMailbox) -> None:
        """Give a node what it has not read yet, and an agent its memory as of its last acknowledged run."""
        if self._counts.pop(mailbox.context.name, 0):
            await mailbox.context.restore()
        sessions = node.execution.sessions if isinstance(node, Agent) else None
        if sessions is not None and sessions.load is not None and (own := await sessions.load(OWN)):
            sessions.own.replace(own)

    def opened(self, node: AnyNode) -> None:
        """Begin to deliver to a node that was added to the running pool."""
        first, place = self.mailboxes.get(node), self.places.get(node)
        if self._watch is None or not self._watch.is_running:
            return
        for mailbox in () if first is None else first.parts:
            if not mailbox.window.is_running:
                self._start(mailbox)
        if place is not None and self.host.mailboxes.get(place.name) is not place:
            self.host.add(place)

    def _start(self, mailbox: Any) -> None:
        if self.host is not None:
            self.host.add(mailbox)
        else:
            mailbox.window.start()

    def left(self, node: AnyNode) -> None:
        """Forget a node. Those who wait for its runs are told that they are kept."""
        first, place, node.place = self.mailboxes.pop(node, None), self.places.pop(node, None), None
        if place is not None:
            self.host.remove(place)
        for mailbox in () if first is None else first.parts:
            self.all_mailboxes.pop(mailbox.name, None)
            if self.host is not None:
                self.host.remove(mailbox)
            node.durable = None
            self._counts.update({queue.name: queue.open for queue in mailbox.queues.values()})
            closing = asyncio.ensure_future(mailbox.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _remember(self, agent: Agent[Any, Any], name: str, journal: MailboxJournal) -> None:
        """Have an agent read what it remembers from the journal."""
        sessions = agent.execution.sessions
        if sessions is None:
            return
        limit = min(agent.settings.history_limit, MAX_LIMIT)
        before: Callable[[str], Awaitable[Sequence[Any]]] | None = sessions.load

        async def remembered(session: str) -> Sequence[Any]:
            rows = await journal.memory(memory_name(name, session), limit)
            try:
                found = [message for row in rows for message in load_messages(row)]
            except ValueError as error:  # written by another version of pydantic_ai
                _log.warning("agent %r: its memory cannot be read, it starts anew: %s", agent.name, error)
                return []
            return found if found or before is None or session == OWN else await before(session)

        sessions.load = remembered

    async def forget(self, session: str) -> int:
        """Delete what is kept of the memory of a session."""
        if self.journal is None:
            return 0
        names = [memory_name(mailbox.name, session) for mailbox in self.mailboxes.values()]
        deleted = sum([await self.journal.forget(name) for name in names])
        if self.host is not None:
            await self.host.forget_session(session)
        return deleted

    def prepare(self, manifest: Manifest) -> object:
        """Refuse to take the journal from a node that has open messages."""
        for node, mailbox in self.mailboxes.items():
            waiting = sum(one.open for one in mailbox.parts)
            if not waiting or node.name not in manifest.nodes:
                continue
            is_less = len(mailbox.parts) > 1 and not manifest.is_spread(node.name)
            if (what := "durable" if not manifest.is_durable(node.name) else "placement" if is_less else "") != "":
                text = f"node {node.name!r}: `{what}` cannot be taken away while {waiting} messages are kept for it"
                raise ManifestError(text)
        return None

    async def apply(self, manifest: Manifest) -> None:
        """Keep the runs of nodes that are durable now, and of no others."""
        for node in self._pool.values():
            settings, mailbox = node.definition.settings.durable, self.mailboxes.get(node)
            is_spread = mailbox is not None and len(mailbox.parts) > 1
            has_moved = (node in self.places) != self._is_single(node)
            if has_moved or (mailbox is not None and (settings is None or is_spread != self._is_spread(node))):
                self.left(node)
            elif mailbox is not None and settings is not None and settings != mailbox.window.settings:
                for one in mailbox.parts:
                    one.window.change(settings)
            await self.opening(node)
            self.opened(node)

    # -- what callers ask -----------------------------------------------------------------------------------------

    async def answer(self, request_id: str) -> Any:
        """Return the answer of a run that was kept under a name, also by an earlier process.

        Raises:
            RunError: no run of that name is known, or it has failed.
        """
        id = id_of(request_id)
        found = None if self.journal is None else await self.journal.find(id)
        at = self.all_mailboxes.get(found.mailbox) if found else None
        if at is None:
            where = f": it is one of {found.mailbox!r}, which is no durable node here" if found else ""
            raise RunError(f"no run with request_id {request_id!r} is in the journal of the pool{where}")
        return await at.answer(id)

    def ticket(self, request_id: str) -> Ticket[Any]:
        """Return the ticket of a run that was kept under a name."""
        return Ticket(id_of(request_id).hex(), partial(self.answer, request_id), is_new=False)

    def look(self) -> None:
        """Deliver what was put into the journal by other means than its nodes, such as a replay."""
        for mailbox in self.all_mailboxes.values():
            mailbox.window.look()

    # -- its life -------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Deliver what waits; all nodes run."""
        for talk in self._pool.connection_registry.values():
            for target in talk.targets:
                if talk.queued and target in self.mailboxes:
                    self.mailboxes[target].queue(talk)
        for mailbox in (*self.all_mailboxes.values(), *self.places.values()):
            self._start(mailbox)
        for name, waiting in self._counts.items():
            text = "%s messages wait for %r, which is no durable node or queued connection; see `journal move`"
            _log.warning(text, waiting, name)
        system = self._pool.system or current_system()
        if self._watch is not None:
            self._watch.begin(system)
        if self.host is not None:
            self.host.begin(system.clock)

    async def end(self) -> None:
        """Give the nodes nothing more; they stop now. A host gives its shards back as its nodes come to rest."""
        if self.host is not None:
            await self.host.rest(self._pool.exit_timeout)
        if self._watch is not None:
            await self._watch.end()


def _lasts(node: AnyNode) -> bool:
    """Return True if one run of a node depends on those before it."""
    return node.most_runs == 1 or (isinstance(node, Agent) and node.execution.sessions is not None)
