"""The log of nodes with `debug: true`."""

from __future__ import annotations

import logging

import pytest

from actors.config.load import parse_manifest
from actors.pool.pool import AgentPool

TEXT = """
allow_imports: [tests.pool]
agents:
  loud: {debug: true, type: callback, callback: "tests.pool.manifest_functions:shout"}
  quiet: {type: callback, callback: "tests.pool.manifest_functions:shout"}
  broken: {debug: true, type: callback, callback: "tests.pool.test_debug_log:fail"}
teams: {t: {debug: true, mode: sequential, members: [quiet]}}
"""


def fail(_text: str) -> str:
    """Fail."""
    raise ConnectionError


async def test_only_nodes_that_are_debugged_are_logged_and_never_what_they_say(
    caplog: pytest.LogCaptureFixture, no_leaked_actors: None
) -> None:
    with caplog.at_level(logging.DEBUG, "understage.node"):
        async with AgentPool[None](parse_manifest(TEXT)) as pool:
            for name in ("loud", "quiet", "t"):
                await pool[name].run("secret")
            with pytest.raises(ConnectionError):
                await pool["broken"].run("secret")

    lines = [record.getMessage() for record in caplog.records if record.name == "understage.node"]
    assert [line.partition(",")[0].partition(" after")[0] for line in lines] == [
        "node 'loud': takes a message of 'user'",
        "node 'loud': answers with 6 characters",
        "node 't': takes a message of 'user'",
        "node 't': answers with 6 characters",
        "node 'broken': takes a message of 'user'",
        "node 'broken': the run failed with ConnectionError",
    ]
    assert "secret" not in caplog.text.lower()
