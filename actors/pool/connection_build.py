"""From the connections of the manifest to those of the nodes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.config.connection import CallableConnection, FileConnection, NodeConnection
from actors.config.template import render_path_template, render_template
from actors.nodes.agent import Agent
from actors.pool.condition_build import condition_of
from protocols.errors import ConfigError, TalkError
from protocols.messages import ChatMessage  # noqa: TC001 - read at run time, to know what the writer is given

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.config.connection import Connection
    from actors.config.manifest import Manifest
    from actors.nodes.import_scope import ImportScope
    from actors.pool.root import AnyNode


class ConnectionBuilder:
    """Makes the connections of one manifest."""

    def __init__(self, manifest: Manifest, nodes: Mapping[str, AnyNode], scope: ImportScope) -> None:
        """Take the manifest, its nodes and what it may import."""
        self._manifest = manifest
        self._nodes = nodes
        self._scope = scope
        self._helpers: dict[str, AnyNode] = {}

    def build(self) -> list[AnyNode]:
        """Connect the nodes; return the nodes that were made for files and functions.

        Raises:
            ConfigError: something that a connection names cannot be imported or used.
        """
        for name, spec in self._manifest.nodes.items():
            for connection in spec.connections:
                self._connect(self._nodes[name], connection)
        return list(self._helpers.values())

    def _connect(self, source: AnyNode, spec: Connection) -> None:
        try:
            source.connect_to(self._target(source.name, spec), name=spec.label, **self._options(source.name, spec))
        except TalkError as error:
            msg = f"node {source.name!r}: its connection cannot be made: {error}"
            raise ConfigError(msg, node=source.name) from error

    def _target(self, source: str, spec: Connection) -> AnyNode:
        match spec:
            case NodeConnection():
                return self._nodes[spec.name]
            case FileConnection():
                root = self._manifest.root or Path()
                return self._helper(spec.name or f"{source}-file", _FileWriter(spec, root, source))
            case CallableConnection():
                function = self._scope.function(spec.callable, source)
                name = spec.name or f"{source}-{spec.callable.rpartition(':')[2].rpartition('.')[2]}"
                return self._helper(name, partial(function, **spec.kw_args) if spec.kw_args else function)

    def _helper(self, wanted: str, function: Any) -> AnyNode:
        taken = {*self._nodes, *self._helpers}
        name = next(one for one in (wanted, *(f"{wanted}-{number}" for number in range(2, 10_000))) if one not in taken)
        is_writer = isinstance(function, _FileWriter)
        made = Agent.from_callback(function, name=name, blocking=is_writer, max_concurrency=1 if is_writer else None)
        return self._helpers.setdefault(name, made)

    def _options(self, source: str, spec: Connection) -> dict[str, Any]:
        options: dict[str, Any] = {
            "wait_for_completion": spec.wait_for_completion,
            "priority": spec.priority,
            "delay": spec.delay,
            "queued": spec.queued,
        }
        if spec.queued:
            options |= {"queue_strategy": spec.queue_strategy, "capacity": spec.queue.capacity}
            options["overflow"] = spec.queue.overflow
        for key in ("filter_condition", "stop_condition", "exit_condition"):
            options[key] = condition_of(getattr(spec, key), self._scope, source)
        if spec.transform is not None:
            options["transform"] = self._scope.function(spec.transform, source)
        if isinstance(spec, NodeConnection):
            options |= {"connection_type": spec.connection_type, "per_member": spec.per_member}
        return options


class _FileWriter:
    """Appends messages to a file, one after the other; it blocks, so it runs in a thread."""

    def __init__(self, spec: FileConnection, root: Path, source: str) -> None:
        self._spec = spec
        self._root = root
        self._source = source

    def __call__(self, message: ChatMessage[Any]) -> str:
        time = message.timestamp.astimezone()
        values = {
            "content": message.text,
            "name": message.name or self._source,
            "role": message.role,
            "date": f"{time:%Y-%m-%d}",
            "time": f"{time:%H-%M-%S}",
            "timestamp": time.isoformat(timespec="seconds"),
            "agent": self._source,
            "cost": message.cost_info.total_cost if message.cost_info is not None else 0,
            "tokens": message.usage.total_tokens,
        }
        path = self._root / render_path_template(self._spec.path, values)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding=self._spec.encoding) as file:
            file.write(render_template(self._spec.template, values))
        return str(path)
