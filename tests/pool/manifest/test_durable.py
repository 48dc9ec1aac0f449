"""A manifest and a pool say which nodes are durable, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import AgentPool, Durable
from actors.config.journal import JournalSpec
from actors.config.load import parse_manifest
from actors.pool.manifest.pool import build
from actors.pool.pool import AgentPool as BarePool
from protocols.errors import ConfigError, ManifestError

MANIFEST = """
defaults: {durable: true}
agents:
  a: {model: offline}
  b: {model: offline, durable: {retries: 2, backoff: 1m, order: strict, steps: false, expires: 1h}}
  c: {model: offline, durable: false}
  f: {type: callback, callback: "builtins:str", durable: {enabled: true, retries: 1}}
  heir: {inherits: b, durable: {steps: true}}
teams:
  t: {mode: sequential, members: [a, b]}
  u: {mode: parallel, members: [a, b], durable: {order: strict}}
"""


def test_a_manifest_says_which_nodes_are_durable() -> None:
    nodes = build(parse_manifest(MANIFEST)).nodes

    assert {name: node.definition.settings.durable for name, node in nodes.items()} == {
        "a": Durable(),
        "b": Durable(retries=2, backoff=60, order="strict", steps=False, expires=3_600),
        "c": None,
        "f": Durable(retries=1),
        "heir": Durable(retries=2, backoff=60, order="strict", expires=3_600),
        "t": Durable(),
        "u": Durable(order="strict"),
    }


def test_a_pool_says_where_its_journal_is(tmp_path: Path) -> None:
    pool = BarePool[None](journal=tmp_path / "orders.journal")

    assert pool.manifest.effective_journal == JournalSpec(path=str(tmp_path / "orders.journal"))
    assert AgentPool[None](journal=True).manifest.effective_journal == JournalSpec()
    with pytest.raises(ConfigError, match="a pool's journal must be"):
        AgentPool[None](journal="")


async def test_a_reload_keeps_the_journal_of_the_pool(tmp_path: Path) -> None:
    manifest, other = parse_manifest("agents: {a: {model: offline}}"), parse_manifest("journal: x\nagents: {}")
    async with BarePool[None](manifest, journal=tmp_path / "orders.journal") as pool:
        await pool.reload(other)

        assert pool.manifest.journal == JournalSpec(path=str(tmp_path / "orders.journal"))


@pytest.mark.parametrize(
    ("before", "after", "is_refused"),
    [
        ("journal: x", "journal: y", True),
        ("journal: x", "journal: {path: x, keep: 1h}", True),
        ("journal: x", "", True),
        ("journal: x", "journal: {path: x}", False),
        ("journal: true", "defaults: {durable: true}", False),
        ("defaults: {durable: true}", "", False),
        ("", "defaults: {durable: true}", True),
    ],
)
async def test_a_reload_refuses_another_journal(before: str, after: str, *, is_refused: bool) -> None:
    node = "agents: {a: {type: callback, callback: 'builtins:str'}}"
    async with BarePool[None](parse_manifest(f"{node}\n{before}")) as pool:
        if is_refused:
            with pytest.raises(ManifestError, match="journal: where accepted messages are kept cannot be changed"):
                await pool.reload(parse_manifest(f"{node}\n{after}"))
        else:
            await pool.reload(parse_manifest(f"{node}\n{after}"))
