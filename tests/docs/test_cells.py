"""Each Python block of each page runs: what is no whole program runs with what its page takes for granted."""

from __future__ import annotations

import ast
import inspect
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from pydantic_ai import Tool
from pydantic_ai.models import Model
from starlette.applications import Starlette

from actors import ActorJournal, ActorSystem, Agent, AgentPool, AsyncioActor, Durable, Supervisor, delivery
from actors.models.resolve import resolve_model
from actors.storage import open_store
from tests.docs.test_snippets import DOCS, snippets
from tests.storage.messages import message

if TYPE_CHECKING:
    Names = dict[str, Any]

MANIFEST: Final = """
storage: {type: sqlite, path: history.db}
agents:
  clerk: {model: offline, durable: true}
  writer: {model: offline}
  analyst: {model: offline}
  reader: {model: offline}
"""
ELSEWHERE: Final = {
    "index": "tests/examples/test_page.py",
    "quickstart": "tests/examples/test_page.py",
    "run-interface": "tests/acceptance/test_guide.py",
    "connections": "tests/acceptance/test_guide.py",
    "testing": "tests/docs/test_testing_page.py",
}
"""The pages whose blocks another test runs."""
_BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOTEBOOK: Final = "## In a notebook"


class Money(msgspec.Struct):
    amount: int


class Charge(Money): ...


class Refund(Money): ...


class Ledger(AsyncioActor):
    """An actor with another one to tell; what it is told is noted."""

    told: Final[list[object]] = []
    ledger = SimpleNamespace(tell=told.append)


class Bank:
    def __init__(self) -> None:
        self.keys: list[str] = []

    async def charge(self, _amount: int, *, idempotency_key: str) -> None:
        self.keys.append(idempotency_key)

    def pay(self, amount: int, *, idempotency_key: str) -> str:
        self.keys.append(idempotency_key)
        return f"{amount} paid"


def cells(page: str) -> list[str]:
    """Return the blocks of a page that are no whole programs."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8").partition(_NOTEBOOK)[0]
    whole = [program for _, program in snippets(text)]
    return [block for block in _BLOCK.findall(text) if block not in whole]


async def run(cell: str, names: Names) -> None:
    work: object = eval(compile(cell, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.isawaitable(work):
        await work


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agents.yml").write_text(MANIFEST, encoding="utf-8")


async def test_durable_mailboxes() -> None:
    ask, pay, keep, actor = cells("durable-mailboxes")
    bank, agent = Bank(), Agent("payer", model="test")
    names: Names = {
        "AgentPool": AgentPool,
        "AsyncioActor": Ledger,
        "ActorSystem": ActorSystem,
        "ActorJournal": ActorJournal,
        "agent": agent,
        "bank": bank,
        "Charge": Charge,
        "Refund": Refund,
        "Booking": Money,
        "Durable": Durable,
        "delivery": delivery,
    }
    await run(ask, names)
    assert names["answer"].content
    await run(pay, names)
    assert (await agent.run("Pay.")).content == '{"pay":"0 paid"}'
    await run(keep, names)
    settings = names["clerk"].settings.durable
    assert (settings.retries, settings.order) == (2, "strict")
    await run(actor, names)
    assert Ledger.told == [Money(5), Money(6)]
    assert len(set(bank.keys)) == 3


async def test_embedding() -> None:
    small, large = cells("embedding")
    names: Names = {"__name__": "service"}
    await run(small, names)
    await run(large, names)
    async with names["pool"]:
        assert await names["ask"]("writer", "Cats sleep.") == {"answer": "Cats sleep."}


async def test_engine() -> None:
    letters, carried = cells("engine")
    async with AgentPool[None]("agents.yml") as pool:
        await run(letters, {"pool": pool})
    names: Names = {}
    await run(carried, names)
    assert names["tenant"].get() == ""


async def test_history() -> None:
    count, query, prune, session = cells("history")
    async with open_store("history.db") as store:
        await store.append([message(number, content="the deadline", created=1.8e9 + number) for number in range(60)])
        names: Names = {"store": store}
        await run(query, names)
        assert (len(names["page"]), len(names["more"])) == (50, 10)
        await run(prune, names)
    await run(count, {})
    async with AgentPool[None]("agents.yml") as pool:
        names = {"pool": pool}
        await run(session, names)
        assert pool["helper"] is names["agent"]


async def test_dashboard_and_telemetry() -> None:
    (mount,), (metrics, meters, traces) = cells("dashboard"), cells("telemetry")
    app, provider = Starlette(), MeterProvider()
    names: Names = {"pool": AgentPool("agents.yml"), "secret": "s" * 32, "app": app, "meter_provider": provider}
    await run(metrics, names)
    assert [getattr(route, "path", "") for route in app.routes] == ["/metrics"]
    await run(mount, names)
    assert names["app"] is not app
    await run(meters, names)
    await run(traces, names)
    await names["main"]()


def delete_order(number: int) -> int:
    return number


async def test_tools() -> None:
    tool, worker, question, approval = cells("tools")
    names: Names = {"Tool": Tool, "delete_order": delete_order}
    for cell in (tool, worker, question, approval):
        await run(cell, names)
    assert names["boss"].tools
    assert names["clerk"].settings.approval_timeout == 8 * 3_600


async def test_triggers_and_local_models() -> None:
    headers, functions, pulse = cells("triggers")
    names: Names = {"secret": "s" * 32, "body": b"{}", "time": time, "AgentPool": AgentPool, "Supervisor": Supervisor}
    await run(headers, names)
    assert names["headers"]
    await run(functions, names)
    names["starter"] = print
    await run(pulse, names)
    await names["supervisor"].stop()
    for cell in cells("local-models"):
        await run(cell, names)
    assert names["agent"].name == "local"


def list_of(*values: object) -> list[object]:
    return [*values]


async def test_add_a_model_wrapper() -> None:
    (cell,) = cells("add-a-model-wrapper")
    names: Names = {"Model": Model, "SizeLimit": list_of}
    await run(cell, names)
    made = resolve_model("offline")
    assert (names["sized"](made, None), names["sized"](made, 7)) == (made, [made, 7])


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_no_block_of_a_page_is_left_out(page: Path) -> None:
    name = page.stem.replace("-", "_")
    is_run = any(name in test for test in globals() if test.startswith("test_"))

    assert is_run or page.stem in ELSEWHERE or not cells(str(page.relative_to(DOCS).with_suffix("")))
