"""One life of a pool: it accepts and handles messages until it dies, or until nothing is open."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors import AgentPool
from actors.app import journal_service
from actors.app.journal_paths import open_journal
from actors.app.journal_service import JournalService
from actors.config.load import load_manifest
from actors.durable import delivery_window
from actors.storage import journal_postgres, journal_sqlite
from tests.durability.desk import Desk
from tests.durability.mutations import MUTATIONS
from tests.durability.order import Log, Order, die
from tests.durability.plays import PLAYS
from tests.durability.points import die_at
from tests.durability.upkeep import Upkeep

if TYPE_CHECKING:
    from protocols.journal import MailboxJournal

OURS = (
    str(Path(delivery_window.__file__).parent),
    str(Path(journal_service.__file__).with_name("journal_")),
    str(Path(journal_service.__file__).with_name("actor_journal")),
    str(Path(journal_sqlite.__file__).with_name("journal_")),
    str(Path(journal_postgres.__file__).with_name("postgres_")),
)
"""How the paths of the files begin whose lines are counted."""

MANIFEST = "name: shop\njournal: {%s, deliveries: %d}\n"


import_module("asyncpg")  # once, before all forks


def live(order: Order) -> None:
    """Live once."""
    folder = Path(order.folder)
    (folder / "agents.yml").write_text(MANIFEST % (order.journal, order.deliveries))
    log = Log(order)
    lines = [0]
    kind, at = order.death or ("", 0)
    if kind == "line":
        _count_lines(lines, at)
    elif kind == "moment":
        signal.setitimer(signal.ITIMER_REAL, at / 1_000_000)
    elif kind not in {"", "effect"}:
        die_at(kind, at)
    if order.mutation:
        MUTATIONS[order.mutation]()
    asyncio.run(_live(order, log, folder / "agents.yml"))
    sys.settrace(None)
    log("ended", lines[0])


async def _live(order: Order, log: Log, manifest: Path) -> None:
    if order.play == "desk":
        kept = open_journal(load_manifest(manifest))
        assert kept is not None
        await Desk(order, log).live(kept)
        return
    pool: AgentPool[Any] = AgentPool(manifest, exit_timeout=0.2)
    play = Upkeep(order, log) if order.play == "upkeep" else PLAYS[order.play](order, log)
    for node in play.nodes():
        await pool.add_node(node)
    if isinstance(play, Upkeep):
        await play.move(pool)
    async with pool:
        log("opened")
        service: Any = pool.service(JournalService)
        journal: MailboxJournal = service.journal
        await play.act(pool)
        while await journal.counts():
            pass
        await play.check(pool)


def _count_lines(lines: list[int], last: int) -> None:
    """Die at a certain executed line of our files, in whichever thread it is."""
    codes: dict[Any, bool] = {}

    def in_line(_frame: Any, event: str, _: Any) -> Any:
        if event == "line":
            lines[0] += 1
            if lines[0] == last:
                die()
        return in_line

    def in_call(frame: Any, _event: str, _: Any) -> Any:
        code = frame.f_code
        known = codes.get(code)
        if known is None:
            known = codes[code] = code.co_filename.startswith(OURS)
        return in_line if known else None

    threading.settrace(in_call)
    sys.settrace(in_call)
