"""Connections of a node: to another node, to a file, to a function."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, JsonValue

from actors.config.condition import Condition
from actors.config.duration import Seconds
from actors.config.import_path import ImportText
from actors.config.read_context import complain
from actors.config.reference import NodeName
from actors.config.section import Section
from actors.config.template import ContentTemplate, PathTemplate
from actors.config.value import Flag, Name, QueueSpec, Text, Whole


class _Connection(Section):
    type: Any  # a `Literal` in each subclass
    """Kind of connection."""
    label: Name | None = None
    """Unique name of the connection; made from its ends by default."""
    wait_for_completion: Flag = False
    """Whether `wait_for_connections=None` waits for this connection's target."""
    queued: Flag = False
    """Keep messages until the connection is triggered."""
    queue_strategy: Literal["latest", "concat", "buffer"] = "latest"
    """What a trigger delivers: the latest message, all joined into one, or each in turn."""
    queue: QueueSpec = Field(default_factory=QueueSpec)
    """How many messages a queued connection keeps."""
    priority: Whole = 0
    """Messages of connections with a lower number are delivered first."""
    delay: Seconds | None = None
    """Time between a message and its delivery, in seconds."""
    filter_condition: Condition | None = None
    """Only messages for which it is true pass."""
    stop_condition: Condition | None = None
    """The connection ends with the first message for which it is true."""
    exit_condition: Condition | None = None
    """The whole system is asked to shut down in order with the first message for which it is true."""
    transform: ImportText | None = None
    """Import string of a function that changes each message."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        written = self.model_fields_set
        if not self.queued:
            for key in ("queue_strategy", "queue"):
                if key in written:
                    yield key, "has no effect without 'queued: true'"
        elif self.delay is not None:
            yield "delay", "does not go with 'queued: true': what is triggered is delivered at once"
        if self.queue.overflow == "wait":
            yield "queue", "a connection cannot wait: the overflow is 'reject', 'drop_oldest' or 'drop_newest'"


class NodeConnection(_Connection):
    """Hands each message of this node to an agent or team."""

    spellings: ClassVar[Mapping[str, str]] = {"target": "name"}

    type: Literal["node"]
    name: NodeName
    """The agent or team."""
    connection_type: Literal["run", "context", "forward"] = "run"
    """Run the target with the message, add the message to its next run, or pass it on to the target's connections."""
    per_member: Flag = False
    """Send one message per member of a team instead of the team's combined one."""


def _output_path(value: str) -> str:
    if value.startswith("~") or ".." in {*PurePosixPath(value).parts, *PureWindowsPath(value).parts}:
        complain("expected a path without '~' and '..'")
    if not value.isprintable() or value.endswith(("/", "\\")):
        complain("expected the path of a file, without line breaks and control characters")
    return value


class FileConnection(_Connection):
    """Appends each message of this node to a file."""

    type: Literal["file"]
    name: Name | None = None
    """Name of the node that is made for it, in events and connections; made from the source by default."""
    path: Annotated[PathTemplate, AfterValidator(_output_path)] = Field(min_length=1)
    """File to write, with the places `{date}`, `{time}` and `{agent}`; relative to the manifest."""
    template: ContentTemplate = "[{timestamp}] {name}: {content}\n"
    """What is written for a message."""
    encoding: Text = "utf-8"
    """Text encoding of the file."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        yield from super()._mismatches()
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError):
            yield "encoding", f"there is no text encoding {self.encoding!r}"


class CallableConnection(_Connection):
    """Calls a function with each message of this node."""

    type: Literal["callable"]
    name: Name | None = None
    """Name of the node that is made for it, in events and connections; made from the source by default."""
    callable: ImportText
    """Import string of the function."""
    kw_args: dict[str, JsonValue] = Field(default_factory=dict)
    """Further keyword arguments for the function."""


Connection = Annotated[NodeConnection | FileConnection | CallableConnection, Field(discriminator="type")]
"""A connection, told apart by `type`."""
