"""`INHERIT` between files and `inherits` between agents, both resolved on the raw tree before validation."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from pydantic_core import PydanticCustomError

from actors.config.agent import AgentSpec
from actors.config.check import circles
from actors.config.section import spell
from actors.config.team import TeamSpec
from actors.config.yaml.environment import Expansion
from actors.config.yaml.file import read_text
from actors.config.yaml.parser import read_source
from actors.config.yaml.problem import InvalidManifestError, Mark, Problem, render_path, render_value
from actors.config.yaml.tree import DEFAULT_LIMITS, Row, SourceLimits, Table, merge, table_at

_KEY = "INHERIT"
_NOT_INHERITED = {"name", "display_name", "inherits"}


@dataclass
class FileReader:
    """Reads a manifest file together with the files that it inherits from.

    `INHERIT: base.yml` or `INHERIT: [a.yml, b.yml]` names files relative to the file that holds the line. Later files
    of the list win over earlier ones, and the file itself wins over all of them; `merge` has the rule.
    """

    env: Mapping[str, str]
    """Variables for `${NAME}` in the file names."""
    limits: SourceLimits = DEFAULT_LIMITS
    """Bounds for each file, and for the number of files."""
    problems: list[Problem] = field(default_factory=list[Problem])
    """What was wrong and did not hinder reading on."""
    files: list[Path] = field(default_factory=list[Path])
    """Every file that was read, in order: absolute, links not followed."""
    _done: dict[Path, Table] = field(default_factory=dict[Path, Table])

    def read(self, path: Path) -> Table:
        """Read one file and everything that it inherits.

        Raises:
            InvalidManifestError: This file cannot be read. What is wrong with a file it inherits from is in `problems`.
        """
        return self._read(path, (), None)

    def merge_parents(self, tree: Table, folder: Path, chain: tuple[Path, ...] = ()) -> Table:
        """Return a tree laid over the files that its `INHERIT` names, relative to `folder`."""
        base = Table(tree.mark)
        for name, mark in self._parents(tree):
            try:
                base = merge(base, self._read(folder / Path(name).expanduser(), chain, mark))
            except InvalidManifestError as error:
                self.problems += error.problems
            except RuntimeError:  # there is no such user
                self.problems.append(Problem("expected the path of a file", mark, _KEY, render_value(name)))
        tree.pop(_KEY, None)
        return merge(base, tree)

    def _read(self, path: Path, chain: tuple[Path, ...], mark: Mark | None) -> Table:
        try:
            resolved, given = path.resolve(), path.absolute()
        except (OSError, RuntimeError, ValueError) as error:
            problem = Problem(f"the file name cannot be resolved: {error}", mark or Mark(repr(path), 0))
            raise InvalidManifestError([problem]) from None
        if resolved in chain:
            names = " -> ".join(repr(item.name) for item in (*chain[chain.index(resolved) :], resolved))
            problem = Problem(f"files inherit from each other in a circle: {names}", mark or Mark("", 0), _KEY)
            raise InvalidManifestError([problem])
        if resolved not in self._done:
            if len(self.files) >= self.limits.files:
                raise InvalidManifestError([Problem(f"more than {self.limits.files} files", mark or Mark("", 0), _KEY)])
            text = read_text(path, limits=self.limits, mark=mark)
            self.files.append(given)
            tree, problems = read_source(text, name=str(path), limits=self.limits)
            self.problems += problems
            spell_nodes(tree)
            self._done[resolved] = self.merge_parents(tree, path.parent, (*chain, resolved))
        return self._done[resolved]

    def _parents(self, tree: Table) -> list[tuple[str, Mark]]:
        value = tree.get(_KEY)
        if value is None:
            return []
        marks = value.marks if isinstance(value, Row) else [tree.value_mark(_KEY)]
        found: list[tuple[str, Mark]] = []
        expansion = Expansion(self.env)
        for item, mark in zip(value if isinstance(value, Row) else [value], marks, strict=True):
            if not isinstance(item, str) or not item.strip() or "://" in item:
                self.problems.append(Problem("expected the path of a file", mark, _KEY, render_value(item)))
            else:
                found.append((expansion.text(item, (_KEY,), mark), mark))
        self.problems += expansion.problems
        return found


def spell_nodes(tree: Table) -> None:
    """Give the keys of nodes their proper names before maps of different files or agents are mixed."""
    for section, kind in (("agents", AgentSpec), ("teams", TeamSpec)):
        nodes = table_at(tree, section)
        for name in nodes:
            with contextlib.suppress(PydanticCustomError):  # two spellings of one key: validation reports it
                spell(table_at(nodes, name), kind.spellings)


def inherit_agents(tree: Table) -> list[Problem]:
    """Lay every agent over the agent that its `inherits` names, in place; return what is wrong.

    The child's keys win (`merge`); the parent's `name`, `display_name` and `inherits` stay with the parent.
    """
    agents = table_at(tree, "agents")
    parents = {name: table_at(agents, name).get("inherits") for name in agents if isinstance(agents[name], Table)}
    links = {name: [parent] for name, parent in parents.items() if isinstance(parent, str) and parent in parents}
    problems = [
        Problem(text, table_at(agents, name).value_mark("inherits"), render_path(("agents", name, "inherits")))
        for name, text in circles(agents, links, "agents inherit from each other in a circle")
    ]
    for name in () if problems else TopologicalSorter(links).static_order():
        if name in links:
            parent = table_at(agents, *links[name])
            base = Table(parent.mark)
            for key in parent.keys() - _NOT_INHERITED:
                base.copy_key(key, parent)
            agents[name] = merge(base, table_at(agents, name))
    return problems
