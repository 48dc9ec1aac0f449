"""A mail for a durable node is marked as read when its run is kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from protocols.journal import JournalFullError, NotDurableError
from tests.support.waiting import wait_until
from tests.triggers.mail.test_source import Mailbox, email, imap, look_again, open_stage, server
from tests.triggers.started import KeepingNode, start_triggers

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem
    from tests.triggers.mail.imap_server import ImapServer

__all__ = ["imap", "server"]


async def test_a_mail_for_a_durable_node_is_marked_when_its_run_is_kept(
    actor_system: ActorSystem, server: ImapServer
) -> None:
    node = KeepingNode()
    node.commit = asyncio.Event()
    with Mailbox(server) as box:
        box.put("one")
    stage = await start_triggers(actor_system, [email(server, check_interval=3_600)], node)
    await wait_until(lambda: node.asked)
    with Mailbox(server) as box:
        before = box.unseen()
    node.commit.set()
    await stage.ready()
    node.refusal = JournalFullError("no room")
    with Mailbox(server) as box:
        marked = box.unseen()
        box.put("two")
    await look_again(stage)
    with Mailbox(server) as box:
        refused = box.unseen()
    node.refusal = NotDurableError("too large")
    await look_again(stage)

    assert (before, marked, refused) == (1, 0, 1)
    numbers = stage.plan.triggers[0].statistics()
    assert (numbers.running, numbers.refused, numbers.dead_lettered) == (1, 1, 1)


async def test_a_mail_that_a_process_accepted_and_did_not_mark_is_kept_once(
    actor_system: ActorSystem, server: ImapServer
) -> None:
    node = KeepingNode()
    with Mailbox(server) as box:
        box.put("one")
    for _ in range(2):
        stage = await open_stage(actor_system, node, email(server, mark_seen=False, check_interval=3_600))
        await stage.supervisor.stop()

    assert (len(node.asked), len(node.kept)) == (2, 1)
