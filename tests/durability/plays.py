"""What the lives of a pool do: nodes whose handlers log their effects, and senders that log what was accepted."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from actors import Agent, TeamRun, delivery
from actors.app import journal_watch
from actors.durable.kept_run import KeptRun
from tests.durability.order import DIED, Log, Order, read_log
from tests.durability.patch import patch

if TYPE_CHECKING:
    from collections.abc import Callable

SENDERS: Final = {"source": ("a", "b"), "wide": ("c", "d"), "chain": ("e",)}
"""Who sends to which node."""


class Shop:
    """A serial node that passes its answers on to one that handles many at once, such a one alone, and a chain."""

    def __init__(self, order: Order, log: Log) -> None:
        self.order = order
        self.log = log
        lines = read_log(Path(order.folder))
        self.accepted: list[tuple[str, str]] = [(more[0], more[1]) for _, what, *more in lines if what == "accepted"]

    def nodes(self) -> list[Any]:
        """Return the nodes of the pool."""
        source, target = self.node("source", 1), self.node("target", self.order.concurrency)
        source.connect_to(target)
        first, second = self.node("first", 1, durable=None), self.node("second", 1, durable=None)
        chain: Any = TeamRun([first, second], name="chain", durable=True)
        return [source, target, self.node("wide", self.order.concurrency), first, second, chain]

    def node(self, name: str, concurrency: int, durable: Any = True) -> Any:
        """Return a node whose handler has an effect."""

        async def handle(prompt: str) -> str:
            here = delivery()
            self.before(name, prompt)
            self.log("effect", name, prompt, here.attempt, here.key)
            for _ in range(len(prompt) % 4):  # those that run at once end in another order
                await asyncio.sleep(0)
            return prompt

        return Agent.from_callback(handle, name=name, max_concurrency=concurrency, durable=durable)

    def before(self, name: str, prompt: str) -> None:
        """Do something before the effect."""

    async def act(self, pool: Any) -> None:
        """Send, as often as the life is told to, and one run that waits for its answer."""
        senders = [self.send(pool, node, name) for node, names in SENDERS.items() for name in names]
        await asyncio.gather(*senders, self.ask(pool))

    async def send(self, pool: Any, node: str, sender: str) -> None:
        """Go on where the last life ended; its last message is sent again, as a client does that was not told."""
        sent = [int(text.partition(":")[2]) for at, text in self.accepted if at == node and text[0] == sender]
        first = max(sent, default=0)
        for number in range(max(first, 1), first + self.order.messages + 1):
            text = f"{sender}:{number}"
            ticket = await pool[node].submit(text, request_id=f"{node}/{text}")
            self.log("accepted", node, text, ticket.is_new)

    async def ask(self, pool: Any) -> None:
        """Wait for answers, one after the other."""
        first = sum(text[0] == "f" for _, text in self.accepted)
        for number in range(first + 1, first + self.order.messages // 2 + 1):
            answer = await pool["source"].run(f"f:{number}", request_id=f"source/f:{number}")
            self.log("accepted", "source", answer.content, number == first + 1)

    async def check(self, pool: Any) -> None:
        """Ask for the answer of all that was ever accepted."""
        for node, text in dict.fromkeys(self.accepted):
            try:
                content = (await pool.ticket(f"{node}/{text}").answer(timeout=30)).content
            except Exception as error:
                content = repr(error)
            if content != text:
                self.log("wrong", node, text, content)


class Poison(Shop):
    """One message ends the process, whenever it is handled."""

    def before(self, name: str, prompt: str) -> None:
        """Die of it."""
        if name != "target" and prompt == "c:3":
            os._exit(DIED)

    async def ask(self, pool: Any) -> None:
        """Wait for nothing."""

    async def check(self, pool: Any) -> None:
        """Its answer is an error."""
        self.accepted = [told for told in self.accepted if told != ("wide", "c:3")]  # a life tells its last one again
        await super().check(pool)


class Stop(Shop):
    """A process that is stopped from outside when it has accepted something, and continued later."""

    def nodes(self) -> list[Any]:
        """Return the nodes of a pool that prunes nothing: its thread could be stopped in the middle of a write."""
        patch(journal_watch, "PRUNE", lambda _: math.inf)
        return super().nodes()

    async def act(self, pool: Any) -> None:
        """Send, stop, and send again."""
        await self.send(pool, "wide", "c")
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            await pool["wide"].submit("d:1", request_id="wide/d:1")
        except Exception as error:
            self.log("refused", type(error).__name__, str(error))
            os._exit(DIED)
        self.log("accepted", "wide", "d:1", True)


class Paid(Shop):
    """An agent whose model asks for the same tool three times. Models and tools are paid for."""

    def nodes(self) -> list[Any]:
        """Return the agent; what it has committed is logged as well."""

        def make(keep: Any) -> Any:
            async def kept(run: Any, key: str, digest: bytes, payload: bytes) -> None:
                await keep(run, key, digest, payload)
                self.log("kept", run.run_id, key)

            return kept

        patch(KeptRun, "keep", make)
        return [Agent("clerk", model=FunctionModel(self.answer), tools=[self.pay], durable=True)]

    def answer(self, messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        """Be paid for an answer."""
        prompt = max(
            place
            for place, message in enumerate(messages)
            if any(isinstance(part, UserPromptPart) for part in message.parts)
        )
        step = sum(isinstance(message, ModelResponse) for message in messages[prompt:])
        here = delivery()
        self.log("effect", "model", here.key, f"model/{step}", here.attempt)
        if step == 3:
            return ModelResponse([TextPart("paid")])
        return ModelResponse([ToolCallPart("pay", {"amount": step}, f"call-{step}")])

    def pay(self, amount: int) -> str:
        """Pay."""
        here = delivery()
        self.log("effect", "tool", here.key, f"tool/{amount + 1}/call-{amount}", here.attempt)
        return f"receipt {amount}"

    async def act(self, pool: Any) -> None:
        """Send a few runs."""
        for number in range(self.order.messages):
            text = f"p:{self.order.life * 100 + number}"
            await pool["clerk"].submit(text, request_id=f"clerk/{text}")
            self.log("accepted", "clerk", text, True)

    async def check(self, pool: Any) -> None:
        """Ask for the answer of all that was ever accepted."""
        for node, text in self.accepted:
            if (answer := await pool.ticket(f"{node}/{text}").answer(timeout=30)).content != "paid":
                self.log("wrong", node, text, answer.content)


class Queued(Shop):
    """Two nodes, of which one is durable, whose answers wait for a third one until their connections are triggered."""

    def nodes(self) -> list[Any]:
        """Return the nodes of the pool."""
        source, target = self.node("source", 1), self.node("target", 1)
        other = self.node("other", 1, durable=None)
        for node in (source, other):
            node.connect_to(target, name=f"{node.name} waits", queued=True, queue_strategy="buffer")
        return [source, target, other]

    async def act(self, pool: Any) -> None:
        """Send to the durable node and trigger, and run the other one, whose answers are kept as well; trigger all."""
        await asyncio.gather(*(self.send(pool, "source", name) for name in SENDERS["source"]), self.trigger(pool))
        for number in range(self.order.messages):
            await pool["other"].run(text := f"c:{self.order.life * 100 + number}", wait_for_connections=True)
            self.log("accepted", "other", text, True)
        await pool["source"].complete_tasks()
        await self.trigger(pool)

    async def trigger(self, pool: Any) -> None:
        """Trigger both connections, at the same time."""
        await asyncio.gather(*(talk.trigger() for talk in pool.connection_registry.values()))

    async def check(self, pool: Any) -> None:
        """Ask for the answers of the durable node."""
        self.accepted = [told for told in self.accepted if told[0] == "source"]
        await super().check(pool)


class Context(Shop):
    """A node that is given texts before each of its runs."""

    def nodes(self) -> list[Any]:
        """Return the node; what its runs read is logged."""

        async def handle(prompt: str) -> str:
            *texts, text = prompt.split("\n\n")
            here = delivery()
            self.log("read", here.key, texts)
            self.log("effect", "clerk", text, here.attempt, here.key)
            await asyncio.sleep(0)
            return text

        return [Agent.from_callback(handle, name="clerk", max_concurrency=1, durable=True)]

    async def act(self, pool: Any) -> None:
        """Add a text before each run."""
        for number in range(self.order.messages):
            text = f"p:{self.order.life * 100 + number}"
            pool["clerk"].add_context(f"note {text}")
            await pool["clerk"].submit(text, request_id=f"clerk/{text}")
            self.log("accepted", "clerk", text, True)


class Quiet(Shop):
    """Sends nothing: only handles what is open."""

    async def act(self, pool: Any) -> None:
        """Do nothing."""


PLAYS: Final[dict[str, Callable[[Order, Log], Shop]]] = {
    "shop": Shop,
    "poison": Poison,
    "stop": Stop,
    "paid": Paid,
    "queued": Queued,
    "context": Context,
    "quiet": Quiet,
}
