"""What a pool says of itself when it is asked: rows of its nodes, connections, triggers, approvals and dead letters."""

import os
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import Any, Final
from weakref import WeakKeyDictionary

from actors.agents.agent import Agent
from actors.app.dead_letters import DeadLetterRow
from actors.app.history_service import HistoryService
from actors.app.journal_service import JournalService
from actors.app.trigger_service import TriggerService
from actors.config.trigger import IntervalTrigger, ScheduleTrigger
from actors.dashboard.feed_table import LONG, SHORT, Row, name_of, shown
from actors.models.budget import Ledger, ledger_of
from actors.nodes.base_team import BaseTeam
from actors.nodes.node import AnyNode
from actors.pool.pool import AgentPool
from actors.runtime.cell import Cell
from actors.runtime.system import ActorSystem
from actors.runtime.tree import ActorRow, rows_of
from actors.supervision.child_state import ChildState
from actors.triggers.schedule.source import Schedule
from actors.triggers.trigger import Trigger
from actors.web.health import state_of, status_of
from protocols.control import ActorState
from protocols.errors import limited_text
from protocols.triggers import TriggerEvent

Rows = Iterator[tuple[str, Row]]
"""Rows with their keys, each made when it is taken."""
MOST_NAMED: Final = 3
"""Nodes and services in trouble that the head of the page names."""
FIRED: Final = (ScheduleTrigger, IntervalTrigger)
"""Triggers whose event can be made by hand: it says nothing but the time."""


class PoolRows:
    """Reads a pool.

    Args:
        pool: the pool.
        can_act: True if viewers may do more than look.
    """

    def __init__(self, pool: AgentPool[Any], *, can_act: bool) -> None:
        self._pool = pool
        self._can_act = can_act
        self._version = _version()
        self._started = time.time()
        self._nodes: dict[str, str] = {}
        """The names of the nodes by the URN of their actors."""
        self._troubled: dict[str, str] = {}
        """The nodes that do not run, and what they do."""
        self._events: WeakKeyDictionary[Trigger, tuple[TriggerEvent, str]] = WeakKeyDictionary()
        """The last events with their texts, which are made once."""

    @property
    def _host(self) -> Any:
        """This process, as a host of a cluster; None for a pool in one process."""
        journal = self._pool.service(JournalService)
        return None if journal is None else journal.host

    @property
    def _own(self) -> dict[str, Any]:
        """What tells the rows of this host from others; nothing without a cluster."""
        return {} if (host := self._host) is None else {"host": name_of(host.about.name)}

    def pool(self, system: ActorSystem, since: float) -> Rows:
        """Yield the one row of the pool itself; `since` is when its events began to be followed."""
        pool, history, journal = self._pool, self._pool.service(HistoryService), self._pool.service(JournalService)
        troubled = {**self._troubled, **{name: health for name, health in pool.health.items() if health != "ready"}}
        trouble = ", ".join(f"{name} is {state}" for name, state in islice(troubled.items(), MOST_NAMED))
        yield "pool", {
            "trouble": shown(trouble + (", …" if len(troubled) > MOST_NAMED else ""), SHORT),
            "name": name_of(pool.name), "pid": os.getpid(), "version": self._version, "since": since,
            "started": self._started, "status": status_of(pool, set(self._troubled.values())),
            "dropped_events": system.events.dropped, "actors": len(system.cells),
            "has_storage": history is not None and history.store is not None,
            "has_journal": journal is not None and journal.journal is not None, "can_act": self._can_act, **self._own,
        }  # fmt: skip

    def actors(self, system: ActorSystem) -> Rows:
        """Yield the actors, supervisors before their children; children that do not run; nodes at other hosts."""
        journal = self._pool.service(JournalService)
        kept, own = {} if journal is None else journal.kept, self._own
        for row in system.rows():
            yield short(row.id), self._actor(row, row.parent, kept) | own
        for above, child in children_of(system):
            if child.cell is not None and not child.is_live:
                for row in rows_of({child.cell: None}):
                    yield short(row.id), self._actor(row, above.ref.actor_urn, kept) | own
        if (here := self._host) is not None:
            for host, said in here.seen():
                for node in () if host.id == here.about.id else said.nodes:
                    yield name_of(f"{host.id}/{node.name}"), _elsewhere(host, node)

    def _actor(self, row: ActorRow, parent: str, kept: dict[str, int]) -> dict[str, Any]:
        node = self._nodes.get(row.id, "")
        return {
            "parent": short(parent), "name": name_of(row.name), "type": name_of(row.actor_type), "state": row.state,
            "incarnation": row.incarnation, "restarts": row.restarts, "depth": row.depth,
            "oldest_age": round(row.oldest_age, 1), "in_flight": row.in_flight, "handled": row.handled,
            "failed": row.failed, "kept": kept.get(node, 0), "node": name_of(node),
            "last_failure": shown(row.last_failure) if row.last_failure else "",
        }  # fmt: skip

    def nodes(self) -> Rows:
        """Yield the nodes of the pool."""
        names, troubled = dict[str, str](), dict[str, str]()
        for node in self._pool.nodes.values():
            ref = node.home.find()
            if ref is not None:
                names[ref.actor_urn] = node.name
            if (state := state_of(node)) != ActorState.RUNNING:
                troubled[node.name] = state
            yield name_of(node.name), _node(node)
        self._nodes, self._troubled = names, troubled

    def links(self) -> Rows:
        """Yield the connections of the pool, one row for each target."""
        for talk in tuple(self._pool.connection_registry.values()):
            stats, last = talk.stats, talk.stats.last_message_time
            for target in talk.targets:
                yield name_of(f"{talk.name}/{target.name}"), {
                    "source": name_of(talk.source.name), "target": name_of(target.name), "kind": talk.connection_type,
                    "queued": len(talk.pending), "passed": stats.message_count, "failed": stats.error_count,
                    "last": 0.0 if last is None else last.timestamp(),
                }  # fmt: skip

    def triggers(self, system: ActorSystem) -> Rows:
        """Yield the triggers of the pool."""
        service = self._pool.service(TriggerService)
        if service is None:
            return
        due = {child.name: _due(child.args[1], system) for child in service.plan.children if len(child.args) > 1}
        for trigger in service.triggers:
            numbers = trigger.statistics()
            yield name_of(numbers.name), {
                "node": name_of(trigger.node), "name": name_of(trigger.name), "kind": trigger.settings.type,
                "state": "failing" if trigger.is_failing else "running" if numbers.running else "idle",
                "next": due.get(trigger.full_name), **self._last(trigger),
                "accepted": numbers.accepted, "run": numbers.completed + numbers.running,
                "failed": numbers.failed + numbers.dead_lettered,
                "can_fire": isinstance(trigger.settings, FIRED), "last_failure": shown(numbers.last_error),
            }  # fmt: skip

    def _last(self, trigger: Trigger) -> Row:
        event = trigger.last_event
        if event is None:
            return {"last": None, "event": ""}
        known = self._events.get(trigger)
        if known is None or known[0] is not event:
            known = self._events[trigger] = event, shown(limited_text(_prompt_of, event, 500))
        return {"last": event.time, "event": known[1]}

    def approvals(self) -> Rows:
        """Yield the tool calls that wait for a person."""
        for asked in self._pool.pending():
            yield name_of(f"{asked.run_id}/{asked.tool_call_id}", LONG), {
                "run": name_of(asked.run_id), "call": name_of(asked.tool_call_id, LONG), "node": name_of(asked.actor),
                "tool": name_of(asked.tool_name), "arguments": shown(asked.arguments, 4_000), "since": asked.time,
            }  # fmt: skip


def _elsewhere(host: Any, node: Any) -> Row:
    """Return the row of a node that lives at another host, as that one has told."""
    return {
        "parent": "", "name": name_of(node.name), "type": "", "state": name_of(node.state), "incarnation": 0,
        "restarts": 0, "depth": node.depth, "oldest_age": 0.0, "in_flight": node.in_flight, "handled": node.handled,
        "failed": node.failed, "kept": node.kept, "node": "", "last_failure": "", "host": name_of(host.name),
    }  # fmt: skip


def dead_row(letter: DeadLetterRow) -> Row:
    """Return the row of a dead letter."""
    return {
        "at": letter.at, "target": name_of(letter.target), "sender": name_of(letter.sender),
        "message_type": name_of(letter.message_type), "reason": name_of(letter.reason), "age": round(letter.age, 3),
        "text": shown(letter.text), "error": shown(letter.error, 500),
        "can_replay": letter.can_replay, "replays": letter.replays,
    }  # fmt: skip


def _prompt_of(event: Any) -> str:
    return str(event.to_prompt())


def _due(schedule: object, system: ActorSystem) -> float | None:
    """Return the next time of a schedule by the wall clock, before its jitter; None for another source."""
    if not isinstance(schedule, Schedule) or schedule.times is None:
        return None
    due, now = schedule.times.next_after(schedule.served), time.time()
    return due if due is None or schedule.by_wall_clock else now + due - system.clock.now()


def children_of(system: ActorSystem) -> Iterator[tuple[Cell, ChildState]]:
    """Yield all supervisors with each of their children, those that do not run as well."""
    for above in tuple(system.cells):
        children: dict[str, ChildState] = getattr(above.supervision, "states", {})
        for child in tuple(children.values()):
            yield above, child


def id_of(cell: Cell | None) -> str:
    """Return the id of an actor as addresses hold it, if it was shown."""
    return "" if cell is None or cell.urn is None else short(cell.urn)


def short(urn: str) -> str:
    """Return the id of an actor as addresses hold it."""
    return urn.rpartition(":")[2]


def _node(node: AnyNode) -> Row:
    totals = node.total_stats
    model = node.model if isinstance(node, Agent) else None
    members = node.members() if isinstance(node, BaseTeam) else ()
    return {
        "kind": "agent" if not isinstance(node, BaseTeam) else "chain" if node.is_chain else "team",
        "model": name_of(str(getattr(model, "model_name", model) or "")),
        "runs": totals.message_count + totals.error_count + totals.cancelled_count, "failed": totals.error_count,
        "cancelled": totals.cancelled_count,
        "messages": totals.message_count, "input_tokens": totals.input_tokens, "output_tokens": totals.output_tokens,
        "cost": str(totals.cost), "cost_known": totals.cost_known, "budget": _budget(ledger_of(node)),
        "members": [name_of(member.name) for member in members],
    }  # fmt: skip


def _budget(ledger: Ledger | None) -> str:
    if ledger is None:
        return ""
    limits = (("tokens", "tokens"), ("cost", "USD"), ("requests", "requests"))
    spent = [
        f"{getattr(ledger.spent, name):,} of {getattr(ledger.budget, name):,} {unit}"
        for name, unit in limits
        if getattr(ledger.budget, name) is not None
    ]
    return ", ".join(spent) + (" per day" if ledger.budget.per == "day" else "")


def _version() -> str:
    try:
        return version("understage")
    except PackageNotFoundError:  # read from a folder
        return ""
