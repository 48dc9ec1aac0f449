import asyncio
from typing import Any

from actors.nodes.fan_out import MemberReply
from actors.runtime.errors import ActorStoppingError, AskTimeoutError
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.settle import settle
from tests.support.actors import BlockedActor, Echo


async def test_the_reply_of_a_member_is_received_once_and_at_once_however_it_ends(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log: list[Any] = []
    blocked, stopped = actor_system.start(BlockedActor, ([],)), actor_system.start(Echo)
    await stopped.stop()

    def asked(ref: ActorRef[Any], message: int, timeout: float | None) -> MemberReply:
        reply: MemberReply = MemberReply(loop=asyncio.get_running_loop())
        reply.receive = lambda done: log.append("cancelled" if done.cancelled() else done.exception() or done.result())
        ref.ask_for(reply, message, timeout)
        return reply

    asked(stopped, 1, None)
    assert isinstance(log.pop(), ActorStoppingError)
    reply = asked(actor_system.start(Echo), 2, None)
    await settle()
    assert (reply.cancel(), log.pop()) == (False, 2)
    asked(blocked, 3, 5.0)
    await manual_clock.advance(5)
    assert isinstance(log.pop(), AskTimeoutError)
    reply = asked(blocked, 4, None)
    assert (reply.cancel(), log) == (True, ["cancelled"])
