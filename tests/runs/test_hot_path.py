"""The budget of one run: what design section 2 allows between a call and its answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pykka

import actors
import protocols
from actors.agents.agent import Agent

if TYPE_CHECKING:
    from types import FrameType

MOST_CALLS = 36
MOST_MODULES = 14

OURS = tuple(str(Path(package.__file__ or "").parent) for package in (actors, protocols, pykka))


def stub(prompt: str) -> str:
    return prompt


async def calls_of_one_run() -> list[tuple[str, str]]:
    """Return (file, function) of each Python call of ours and Pykka's in one warm run of a stub node."""
    calls: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS):
            calls.append((code.co_filename, code.co_name))

    async with Agent.from_callback(stub, name="stub") as node:
        for _ in range(3):
            await node.run("warm up")
        sys.setprofile(note)
        try:
            answer = await node.run("measured")
        finally:
            sys.setprofile(None)
    assert answer.content == "measured"
    return calls


async def test_one_run_stays_within_the_budget_of_calls_and_modules() -> None:
    calls = await calls_of_one_run()
    listed = "\n".join(f"{Path(file).name}:{name}" for file, name in calls)
    assert len(calls) <= MOST_CALLS, f"{len(calls)} calls:\n{listed}"
    modules = {file for file, _ in calls}
    assert len(modules) <= MOST_MODULES, f"{len(modules)} modules:\n{listed}"


async def test_pool_config_supervision_and_storage_are_not_on_the_way() -> None:
    rooms = {Path(file).parent.name for file, _ in await calls_of_one_run()}
    assert rooms.isdisjoint({"pool", "config", "supervision", "storage", "web", "cli", "triggers"})
