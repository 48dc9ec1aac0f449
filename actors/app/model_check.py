"""Check the models of a manifest before a run, or replace them."""

from collections.abc import Iterator

from actors.agents.manifest.values import model_of
from actors.config.agent import AgentSpec
from actors.config.manifest import Manifest
from actors.config.model import ModelSpec
from actors.models.resolve import resolve_model
from protocols.errors import NodeNotFoundError


def with_model(manifest: Manifest, model: str) -> Manifest:
    """Return the manifest with this model for every agent that has a model."""
    spec = ModelSpec(name=model)
    agents = {
        name: agent if agent.function is not None else agent.model_copy(update={"model": spec})
        for name, agent in manifest.agents.items()
    }
    defaults = manifest.defaults.model_copy(update={"model": spec})
    return manifest.model_copy(update={"agents": agents, "defaults": defaults})


def check_models(manifest: Manifest, node: str) -> None:
    """Make the models that a run of a node can need, to find a wrong name or a missing key before the run.

    Raises:
        NodeNotFoundError: the manifest has no such node.
        ModelError: a model is unknown, or its key or library is missing.
    """
    if node not in manifest.nodes:
        raise NodeNotFoundError.of(node, manifest.nodes, where="manifest")
    for name in _reachable(manifest, node, set()):
        spec = manifest.node(name)
        if isinstance(spec, AgentSpec) and spec.function is None:
            model = resolve_model(None if spec.model is None else model_of(spec.model, name), node=name)
            getattr(model, "wrapped", None)  # that of a server of one's own is made when it is first read


def _reachable(manifest: Manifest, name: str, seen: set[str]) -> Iterator[str]:
    if name in seen:
        return
    seen.add(name)
    yield name
    spec = manifest.nodes[name]
    targets = [target for one in spec.connections if (target := getattr(one, "name", None)) in manifest.nodes]
    for target in (*targets, *spec.parts):
        yield from _reachable(manifest, str(target), seen)
