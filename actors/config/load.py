"""Reading a manifest: from a file or a text to a checked `Manifest`, with every problem in one error."""

import os
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from actors.config.check import check_references
from actors.config.cluster import ClusterSpec
from actors.config.explain import explain, explain_unknown, problem_at
from actors.config.inherit import FileReader, inherit_agents, spell_nodes
from actors.config.journal import JournalSpec
from actors.config.manifest import Manifest, check_cluster, check_durable
from actors.config.read_context import ReadContext
from actors.config.response_model import check_responses
from actors.config.yaml.environment import Expansion
from actors.config.yaml.file import is_open_to_all
from actors.config.yaml.locate import Source
from actors.config.yaml.parser import read_source
from actors.config.yaml.problem import InvalidManifestError, Problem
from actors.config.yaml.tree import DEFAULT_LIMITS, SourceLimits, Table
from protocols.errors import ConfigError, ManifestError


def load_manifest(
    path: str | PathLike[str], *, env: Mapping[str, str] | None = None, limits: SourceLimits = DEFAULT_LIMITS
) -> Manifest:
    """Read a manifest file and everything that it inherits.

    Args:
        path: The YAML file.
        env: Variables for `${NAME}`; the process's own by default.
        limits: Bounds on size and depth.

    Raises:
        InvalidManifestError: With all problems at once; a `ManifestError`.
    """
    reader = FileReader(os.environ if env is None else env, limits)
    return _finish(reader.read(Path(path)), reader)


def manifest_of(given: object, journal: object = None, cluster: object = None) -> Manifest:
    """Return the manifest that a pool is made from.

    Args:
        given: The path of a file, a manifest, or None for an empty one.
        journal: The journal of the pool, which takes the place of that of the manifest; None for the latter.
        cluster: The cluster of the pool, which takes the place of that of the manifest; None for the latter.

    Raises:
        ManifestError: The manifest cannot be read or is wrong, or `given` is something else.
        ConfigError: The journal or the cluster cannot be one.
    """
    if isinstance(given, str | PathLike):
        given = load_manifest(cast("str | PathLike[str]", given))
    manifest = Manifest() if given is None else given
    if not isinstance(manifest, Manifest):
        text = f"a pool is made from the path of a manifest, a Manifest, or nothing, not from {given!r:.200}"
        raise ManifestError(f"{text}; actors.config.load.parse_manifest(text) makes a Manifest of YAML")
    update: dict[str, object] = {} if journal is None else {"journal": JournalSpec.of(journal)}
    if cluster is not None:
        update["cluster"] = ClusterSpec.of(cluster)
    if not update:
        return manifest
    manifest = manifest.model_copy(update=update)
    if problems := [f"{'.'.join(keys)}: {text}" for keys, text in check_cluster(manifest)]:
        raise ConfigError("; ".join(problems))
    return manifest


def load_agent(path: str | PathLike[str], *, env: Mapping[str, str] | None = None) -> Manifest:
    """Read a file that describes one agent: a manifest with exactly one, or just the keys of the agent.

    In the latter case the agent is named by its key `name`, else by the file.

    Args:
        path: The YAML file.
        env: As in `load_manifest`.

    Returns:
        A manifest with one agent.

    Raises:
        InvalidManifestError: With all problems at once; a `ManifestError`.
    """
    reader = FileReader(os.environ if env is None else env)
    tree = reader.read(Path(path))
    if not tree.keys() & {"agents", "teams"}:
        tree = _wrap(tree, Path(path).stem)
    manifest = _finish(tree, reader)
    if len(manifest.agents) != 1:
        text = f"expected exactly one agent, found {len(manifest.agents)}: {', '.join(manifest.agents) or 'none'}"
        raise InvalidManifestError([Problem(text, tree.key_mark("agents"), "agents")])
    return manifest


def _wrap(tree: Table, stem: str) -> Table:
    name = tree.get("name")
    agents, outer = Table(tree.mark), Table(tree.mark)
    agent = name if isinstance(name, str) and name else stem
    agents.put(agent, tree, tree.mark, tree.mark)
    outer.put("agents", agents, tree.mark, tree.mark)
    outer.written["agents"] = agents.written[agent] = ""
    for key in ("allow_imports", "responses", "storage", "defaults"):
        if key in tree:
            outer.copy_key(key, tree)
            del tree[key]
    return outer


def parse_manifest(text: str, *, name: str = "<text>", env: Mapping[str, str] | None = None) -> Manifest:
    """Read a manifest from a text; `INHERIT` is relative to the working directory.

    Args:
        text: The YAML.
        name: Name of the text in errors.
        env: As in `load_manifest`.

    Raises:
        InvalidManifestError: With all problems at once; a `ManifestError`.
    """
    reader = FileReader(os.environ if env is None else env)
    tree, problems = read_source(text, name=name)
    reader.problems += problems
    spell_nodes(tree)
    tree = reader.merge_parents(tree, Path())
    reader.files.clear()
    return _finish(tree, reader)


def _finish(tree: Table, reader: FileReader) -> Manifest:
    problems = reader.problems
    expansion = Expansion(reader.env)
    expansion.expand(tree)
    problems += expansion.problems
    problems += inherit_agents(tree)
    reading = ReadContext.of(tree)
    root = reader.files[0].resolve().parent if reader.files else None
    problems += check_references(tree, root)
    problems += _open_files(tree, reader.files)
    manifest: Manifest | None = None
    try:
        manifest = Manifest.model_validate(tree, context=reading)
    except ValidationError as error:
        problems += explain(error, tree)
    problems += explain_unknown(reading, tree)
    if manifest is None or problems:
        ordered = sorted(dict.fromkeys(problems), key=lambda problem: problem.mark)  # each once, as in the files
        raise InvalidManifestError(ordered)
    late = (*check_responses(manifest.responses), *check_durable(manifest), *check_cluster(manifest))
    if late:
        raise InvalidManifestError([problem_at(tree, keys, text) for keys, text in late])
    return manifest.read_from(reader.files, Source(tree, frozenset(reading.imports)))


def _open_files(tree: Table, files: Iterable[Path]) -> Iterable[Problem]:
    """Yield the files that anybody may change, when the manifest may name code."""
    if tree.get("allow_imports"):
        for path in filter(is_open_to_all, files):
            text = f"the file {str(path)!r} can be changed by every user, who could run code; take that right away"
            yield Problem(text, tree.key_mark("allow_imports"), "allow_imports")
