import sys

import pytest

from actors.nodes.agent import Agent
from actors.nodes.mcp_server import mcp_toolset
from protocols.errors import ConfigError, MissingExtraError


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_ai.mcp", None)

    with pytest.raises(MissingExtraError, match=r"agent 'a'.*understudy\[mcp\]"):
        Agent("a", mcp_servers=["http://127.0.0.1:1/mcp"])


def test_a_text_that_is_no_url_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'server\.py'"):
        mcp_toolset("server.py", "a")
