"""Make the connections of a manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from actors.agents.agent import Agent
from actors.agents.manifest.imports import ImportScope
from actors.config.connection import CallableConnection, Connection, FileConnection, NodeConnection
from actors.config.manifest import Manifest
from actors.nodes.node import AnyNode
from actors.pool.manifest.condition import condition_of
from actors.pool.manifest.file_writer import FileWriter
from actors.talk.talk import Talk
from protocols.errors import ConfigError, TalkError


@dataclass(frozen=True, slots=True, eq=False)
class BuiltConnection:
    """One connection of a manifest."""

    spec: Connection
    talk: Talk
    folder: Path | None
    """Folder below which the connection writes; None if it writes no files."""
    helper: AnyNode | None = None
    """Node that was made for a file or a function; it is not in the pool by name."""

    def attach(self) -> None:
        """Let messages flow.

        Raises:
            ConfigError: another connection has the name.
        """
        try:
            self.source.connections.attach(self.talk, is_named=self.spec.label is not None)
        except TalkError as error:
            raise _refused(self.source.name, error) from error

    @property
    def source(self) -> AnyNode:
        """The node at which the connection begins."""
        return cast("AnyNode", self.talk.source)


class ConnectionBuilder:
    """Makes the connections of one manifest.

    Args:
        manifest: the manifest.
        nodes: its nodes by name.
        scope: what the manifest may import.
    """

    def __init__(self, manifest: Manifest, nodes: Mapping[str, AnyNode], scope: ImportScope) -> None:
        self._manifest = manifest
        self._nodes = nodes
        self._scope = scope
        self._names = set(nodes)

    def build(self, existing: Sequence[BuiltConnection] = ()) -> tuple[list[BuiltConnection], list[BuiltConnection]]:
        """Make the connections, without attaching them.

        Args:
            existing: connections of the running pool; those that the manifest still has are not made again.

        Returns:
            The connections that stay, and the new connections.

        Raises:
            ConfigError: something that a connection names cannot be imported or used.
        """
        left = [connection for connection in existing if connection.talk.active]
        self._names |= {connection.helper.name for connection in existing if connection.helper is not None}
        kept: list[BuiltConnection] = []
        wanted: list[tuple[AnyNode, Connection]] = []
        for name, node in self._manifest.nodes.items():
            for spec in node.connections:
                connection = next((one for one in left if self._is(one, self._nodes[name], spec)), None)
                if connection is None:
                    wanted.append((self._nodes[name], spec))
                else:
                    left.remove(connection)
                    kept.append(connection)
        return kept, [self._make(source, spec) for source, spec in wanted]

    def _is(self, connection: BuiltConnection, source: AnyNode, spec: Connection) -> bool:
        if connection.source is not source or connection.spec != spec or connection.folder != self._folder(spec):
            return False
        return not isinstance(spec, NodeConnection) or connection.talk.target is self._nodes[spec.name]

    def _folder(self, spec: Connection) -> Path | None:
        return (self._manifest.root or Path()) if isinstance(spec, FileConnection) else None

    def _make(self, source: AnyNode, spec: Connection) -> BuiltConnection:
        target = self._target(source.name, spec)
        try:
            talk = Talk(source, target, name=spec.label, **self._options(source.name, spec))
        except TalkError as error:
            raise _refused(source.name, error) from error
        return BuiltConnection(spec, talk, self._folder(spec), None if isinstance(spec, NodeConnection) else target)

    def _target(self, source: str, spec: Connection) -> AnyNode:
        match spec:
            case NodeConnection():
                return self._nodes[spec.name]
            case FileConnection():
                root = self._manifest.root or Path()
                return self._helper(spec.name or f"{source}-file", FileWriter(spec, root, source))
            case CallableConnection():
                function = self._scope.function(spec.callable, source)
                name = spec.name or f"{source}-{spec.callable.rpartition(':')[2].rpartition('.')[2]}"
                return self._helper(name, partial(function, **spec.kw_args) if spec.kw_args else function)

    def _helper(self, wanted: str, function: Any) -> AnyNode:
        names = (wanted, *(f"{wanted}-{number}" for number in range(2, 10_000)))
        name = next(one for one in names if one not in self._names)
        self._names.add(name)
        is_writer = isinstance(function, FileWriter)
        return Agent.from_callback(function, name=name, blocking=is_writer, max_concurrency=1 if is_writer else None)

    def _options(self, source: str, spec: Connection) -> dict[str, Any]:
        alike = ("wait_for_completion", "priority", "delay", "queued")
        options: dict[str, Any] = {key: getattr(spec, key) for key in alike}
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


def _refused(source: str, error: TalkError) -> ConfigError:
    return ConfigError(f"node {source!r}: its connection cannot be made: {error}", node=source)
