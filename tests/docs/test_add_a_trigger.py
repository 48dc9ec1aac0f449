"""The type of trigger in docs/add-a-trigger.md, installed as a package and named by a manifest."""

from __future__ import annotations

import asyncio
import importlib
import socket
from typing import TYPE_CHECKING, Any

import pytest

from actors import AgentPool
from actors.app import TriggerService
from actors.config.load import parse_manifest
from actors.config.trigger import installed_type
from actors.testing.models import echo_model
from protocols.errors import ManifestError
from tests.docs.test_snippets import DOCS, snippets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = (
    "agents:\n  reader:\n    triggers:\n      - {{type: datagram, name: syslog, include_timestamp: false, {keys}}}\n"
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with the program of the page and an entry point, as pip would install it."""
    ((_, program),) = snippets((DOCS / "add-a-trigger.md").read_text(encoding="utf-8"))
    (tmp_path / "datagram_trigger.py").write_text(program, encoding="utf-8")
    described = tmp_path / "datagram-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: datagram\nVersion: 1.0\n", encoding="utf-8")
    entries = "[understage.triggers]\ndatagram = datagram_trigger:DATAGRAM\nlost = datagram_trigger:LOST\n"
    (described / "entry_points.txt").write_text(entries, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))  # pyright: ignore[reportUnknownMemberType] - untyped in pytest
    importlib.invalidate_caches()
    installed_type.cache_clear()
    yield tmp_path
    installed_type.cache_clear()


def free_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


@pytest.mark.usefixtures("package", "no_leaked_actors")
async def test_a_manifest_uses_the_type_of_an_installed_package() -> None:
    port = free_port()
    answers: asyncio.Queue[Any] = asyncio.Queue()
    async with AgentPool[None](parse_manifest(MANIFEST.format(keys=f"port: {port}")), model=echo_model()) as pool:
        service = pool.service(TriggerService)
        assert service is not None
        service.answered.connect(answers.put_nowait)
        await service.ready()
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.sendto(b"disk full", ("127.0.0.1", port))
        answer = await asyncio.wait_for(answers.get(), 20)

    assert (answer.trigger, answer.event.text) == ("syslog", "disk full")
    assert "disk full" in answer.answer.text


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("keys", "place"), [("port: 99999", r"triggers\[0\]\.port"), ("port: 1, prot: 2", "unknown key 'prot'")]
)
def test_wrong_keys_of_an_installed_type_are_found_with_their_place(keys: str, place: str) -> None:
    with pytest.raises(ManifestError, match=place):
        parse_manifest(MANIFEST.format(keys=keys))


@pytest.mark.usefixtures("package")
def test_a_type_that_cannot_be_loaded_is_an_error_of_the_manifest_that_names_it() -> None:
    text = MANIFEST.format(keys="port: 1")
    with pytest.raises(ManifestError, match="the type of trigger 'lost' cannot be loaded: AttributeError"):
        parse_manifest(text.replace("datagram", "lost"))


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ManifestError, match="datagram"):
        parse_manifest(MANIFEST.format(keys="port: 1"))
