"""Servers of the Model Context Protocol that lend their tools to agents."""

import shlex
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field

from actors.config.duration import Timeout
from actors.config.read_context import complain
from actors.config.section import Section
from actors.config.value import Flag, Name, Secret, Text, Texts
from actors.config.yaml.tree import as_table
from protocols.checks import ADDRESS


class McpServerSpec(Section):
    """One server: a command to start (`type: stdio`), or the address of one that runs (`http`, `sse`).

    A plain text is a command line, or an address when it begins with `http://` or `https://`.
    """

    shorthand = "command"
    spellings: ClassVar[Mapping[str, str]] = {"enabled_tools": "tools", "allowed_tools": "tools"}

    type: Literal["stdio", "http", "sse"] = "stdio"
    """How to talk to it; `http` is the default where `url` is given."""
    name: Name | None = None
    """Name for logs, and prefix of its tools when two servers have tools of one name."""
    enabled: Flag = True
    """Whether it is used."""
    tools: Texts | None = None
    """The only tools of it that may be used; all by default."""
    command: Text | None = None
    """Program to start."""
    args: Texts = ()
    """Its arguments."""
    env: dict[str, Secret] = Field(default_factory=dict)
    """Its environment variables; of ours, only HOME, LOGNAME, PATH, SHELL, TERM and USER are handed on."""
    cwd: Text | None = None
    """Its working directory, relative to the folder of the manifest, which is the default."""
    url: Text | None = None
    """Address of a running server."""
    headers: dict[str, Secret] = Field(default_factory=dict)
    """HTTP headers for it."""
    timeout: Timeout | None = None
    """How long a start or an answer may take, in seconds."""

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Read a command line or an address; and take `http` for granted where there is a `url`."""
        if isinstance(data, str):
            if not data.startswith(("http://", "https://")):
                return _command(data)
            return {"type": "sse" if urlsplit(data).path.rstrip("/").endswith("/sse") else "http", "url": data}
        table = as_table(data)
        if table is not None and "url" in table and "type" not in table:
            table["type"] = "http"
        return data if table is None else table

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        wanted, foreign = ("command", "url") if self.type == "stdio" else ("url", "command")
        if getattr(self, wanted) is None:
            yield wanted, f"is required with 'type: {self.type}'"
        if getattr(self, foreign) is not None:
            yield foreign, f"does not go with 'type: {self.type}'"
        if self.url is not None and not ADDRESS.accepts(self.url):
            yield "url", "expected an address that begins with http:// or https://, with passwords in 'headers'"


def _command(text: str) -> dict[str, object]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        complain(f"not a command line: {error}")
    if not words:
        complain("expected a command line")
    return {"type": "stdio", "command": words[0], "args": words[1:]}
