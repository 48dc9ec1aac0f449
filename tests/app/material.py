"""What manifests of these tests import."""

from __future__ import annotations

import asyncio

GATE = asyncio.Event()
"""What `held` waits for."""


def echo(text: str) -> str:
    """Say it again."""
    return text


async def held(text: str) -> str:
    """Say it again when the gate is open."""
    await GATE.wait()
    return text


def fail(text: str) -> str:
    """Never work."""
    msg = f"no: {text}"
    raise ValueError(msg)
