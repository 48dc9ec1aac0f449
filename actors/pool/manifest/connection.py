"""From the connections of the manifest to those of the nodes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from actors.agents.agent import Agent
from actors.config.connection import CallableConnection, FileConnection, NodeConnection
from actors.pool.manifest.condition import condition_of
from actors.pool.manifest.file_writer import FileWriter
from actors.talk.talk import Talk
from protocols.errors import ConfigError, TalkError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.agents.manifest.imports import ImportScope
    from actors.config.connection import Connection
    from actors.config.manifest import Manifest
    from actors.nodes.node import AnyNode


@dataclass(frozen=True, slots=True, eq=False)
class BuiltConnection:
    """One connection of the manifest, made."""

    spec: Connection
    talk: Talk
    place: Path | None
    """Folder that the connection writes below; None if it writes no files."""
    helper: AnyNode | None = None
    """Node that was made for a file or a function; nobody asks for it by name."""

    def attach(self) -> None:
        """Let messages flow.

        Raises:
            ConfigError: the name that was chosen for it is taken.
        """
        try:
            self.source.connections.attach(self.talk, is_named=self.spec.label is not None)
        except TalkError as error:
            raise _refused(self.source.name, error) from error

    @property
    def source(self) -> AnyNode:
        """Where it begins."""
        return cast("AnyNode", self.talk.source)


class ConnectionBuilder:
    """Makes the connections of one manifest."""

    def __init__(self, manifest: Manifest, nodes: Mapping[str, AnyNode], scope: ImportScope) -> None:
        """Take the manifest, its nodes and what it may import."""
        self._manifest = manifest
        self._nodes = nodes
        self._scope = scope
        self._taken = set(nodes)

    def build(self, existing: Sequence[BuiltConnection] = ()) -> tuple[list[BuiltConnection], list[BuiltConnection]]:
        """Make the connections, which are not attached yet.

        Args:
            existing: connections that are there already; those that the manifest has as well are not made again.

        Returns:
            The connections that stay, and those that are new.

        Raises:
            ConfigError: something that a connection names cannot be imported or used.
        """
        left = [wire for wire in existing if wire.talk.active]
        self._taken |= {wire.helper.name for wire in existing if wire.helper is not None}
        kept: list[BuiltConnection] = []
        wanted: list[tuple[AnyNode, Connection]] = []
        for name, node in self._manifest.nodes.items():
            for spec in node.connections:
                wire = next((one for one in left if self._is(one, self._nodes[name], spec)), None)
                if wire is None:
                    wanted.append((self._nodes[name], spec))
                else:
                    left.remove(wire)
                    kept.append(wire)
        return kept, [self._wire(source, spec) for source, spec in wanted]

    def _is(self, wire: BuiltConnection, source: AnyNode, spec: Connection) -> bool:
        if wire.source is not source or wire.spec != spec or wire.place != self._place(spec):
            return False
        return not isinstance(spec, NodeConnection) or wire.talk.target is self._nodes[spec.name]

    def _place(self, spec: Connection) -> Path | None:
        return (self._manifest.root or Path()) if isinstance(spec, FileConnection) else None

    def _wire(self, source: AnyNode, spec: Connection) -> BuiltConnection:
        target = self._target(source.name, spec)
        try:
            talk = Talk(source, target, name=spec.label, **self._options(source.name, spec))
        except TalkError as error:
            raise _refused(source.name, error) from error
        return BuiltConnection(spec, talk, self._place(spec), None if isinstance(spec, NodeConnection) else target)

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
        name = next(one for one in names if one not in self._taken)
        self._taken.add(name)
        is_writer = isinstance(function, FileWriter)
        return Agent.from_callback(function, name=name, blocking=is_writer, max_concurrency=1 if is_writer else None)

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


def _refused(source: str, error: TalkError) -> ConfigError:
    return ConfigError(f"node {source!r}: its connection cannot be made: {error}", node=source)
