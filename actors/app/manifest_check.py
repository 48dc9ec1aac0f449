"""Check before a run what only other code can tell about a manifest: its models and its imports; or replace models."""

from collections.abc import Iterable, Iterator

from actors.agents.manifest.agent import AgentBuilder
from actors.agents.manifest.imports import make_importable
from actors.agents.manifest.values import model_of
from actors.config.agent import AgentSpec
from actors.config.explain import problem_at, problem_of
from actors.config.import_path import ImportPathError, resolve_import
from actors.config.manifest import Manifest
from actors.config.model import ModelSpec
from actors.config.yaml.locate import Source
from actors.config.yaml.problem import InvalidManifestError, Mark, Problem
from actors.models.resolve import MODEL_VARIABLE, close_models, resolve_model
from actors.pool.manifest.pool import build
from protocols.errors import ConfigError, MissingKeyError, ModelError, NodeNotFoundError


def with_model(manifest: Manifest, model: str) -> Manifest:
    """Return the manifest with this model for every agent that has a model."""
    spec = ModelSpec(name=model)
    agents = {
        name: agent if agent.function is not None else agent.model_copy(update={"model": spec})
        for name, agent in manifest.agents.items()
    }
    defaults = manifest.defaults.model_copy(update={"model": spec})
    changed = manifest.model_copy(update={"agents": agents, "defaults": defaults})
    return changed.read_from(manifest.files, Source())  # the file does not say this model


def check_models(manifest: Manifest, *nodes: str) -> None:
    """Import what a manifest names, and make the models that runs of these nodes can need, to find faults before a run.

    Raises:
        NodeNotFoundError: the manifest has no such node.
        InvalidManifestError: a model is unknown, its key or library is missing, or an import leads nowhere; lists all.
    """
    seen: dict[str, None] = {}
    for node in nodes:
        if node not in manifest.nodes:
            raise NodeNotFoundError.of(node, manifest.nodes, where="manifest")
        _reach(manifest, node, seen)
    make_importable(manifest)
    problems = [*_imports(manifest), *(problem for problem, _ in _models(manifest, seen))]
    if problems:
        raise InvalidManifestError(sorted(dict.fromkeys(problems), key=lambda problem: problem.mark))


async def check_manifest(manifest: Manifest, *, imports: bool = True) -> tuple[list[Problem], list[Problem]]:
    """Find everything that a manifest names and that cannot be used here, as the start of its pool would.

    No network is used, no function of a user is called, nothing is started.

    Args:
        manifest: the manifest.
        imports: True to import what it names, which runs the code of these modules.

    Returns:
        Problems of the manifest, and models whose key is not in this environment.
    """
    problems: dict[Problem, None] = {}
    keyless: dict[Problem, None] = {}
    try:
        for problem, error in _models(manifest, manifest.nodes):
            (keyless if isinstance(error, MissingKeyError) else problems)[problem] = None
    finally:
        await close_models()
    if imports:
        make_importable(manifest)
        problems.update(dict.fromkeys(_imports(manifest) or _built(manifest)))
    return list(problems), list(keyless)


def _models(manifest: Manifest, nodes: Iterable[str]) -> Iterator[tuple[Problem, Exception]]:
    """Make the models of nodes, and yield those that cannot be made."""
    for name in nodes:
        spec = manifest.node(name)
        if not isinstance(spec, AgentSpec) or spec.function is not None:
            continue
        several: list[ModelSpec | None] = [None]
        if spec.model is not None:
            first = spec.model.model_copy(update={"fallbacks": ()})
            several = [first, *(ModelSpec(name=one) for one in spec.model.fallbacks)]
        for one in several:
            try:
                model = resolve_model(None if one is None else model_of(one, ""))
                getattr(model, "wrapped", None)  # that of a server of one's own is made when it is first read
            except (ConfigError, ModelError) as error:
                own = ("agents", name) if spec.model is None else ("agents", name, "model")
                keys = own if spec.model == manifest.agents[name].model else ("defaults", "model")
                text = str(error) if spec.model is not None else f"{MODEL_VARIABLE}: {error}"
                tree = manifest.source.tree
                yield problem_at(tree, keys, text) if tree else Problem(f"node {name!r}: {text}"), error


def _imports(manifest: Manifest) -> list[Problem]:
    """Import what a manifest names, and return what cannot be imported, once for each place."""
    failed: dict[str, str] = {}
    for text in sorted(manifest.source.imports):
        try:
            resolve_import(text, manifest.allow_imports)
        except ImportPathError as error:
            failed[text] = str(error)
    found: dict[tuple[Mark, str], Problem] = {}  # an agent that inherits an import has it from the same place
    for keys, text in manifest.source.named():
        if text in failed:
            problem = problem_at(manifest.source.tree, keys, failed[text])
            found.setdefault((problem.mark, text), problem)
    return list(found.values())


def _built(manifest: Manifest) -> list[Problem]:
    """Build what needs no model and no toolset, which a function of the user may make."""
    bare = {"model": None, "toolsets": ()}
    agents = {name: spec.model_copy(update=bare) for name, spec in manifest.agents.items()}
    defaults = manifest.defaults.model_copy(update={"model": None})
    plain = manifest.model_copy(update={"agents": agents, "defaults": defaults})
    builder, found = AgentBuilder(plain), list[Problem]()
    for name in manifest.agents:
        try:
            builder.definition(name)
        except (ConfigError, ModelError) as error:
            found.append(problem_of(error, manifest.source))
    try:
        if not found:
            build(plain)
    except InvalidManifestError as error:
        found += error.problems
    except ModelError as error:
        found.append(problem_of(error, manifest.source))
    return found


def _reach(manifest: Manifest, name: str, seen: dict[str, None]) -> None:
    """Note a node, and all nodes that a run of it can lead to."""
    if name in seen:
        return
    seen[name] = None
    spec = manifest.nodes[name]
    targets = [target for one in spec.connections if (target := getattr(one, "name", None)) in manifest.nodes]
    for target in (*targets, *spec.parts):
        _reach(manifest, str(target), seen)
