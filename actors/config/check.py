"""Problems that concern several parts of a manifest, found on the raw tree: so they are reported with all others."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from actors.config.explain import problem_at
from actors.config.field_type import named_types
from actors.config.yaml.file import matching
from actors.config.yaml.locate import locate
from actors.config.yaml.problem import Problem, render_path, render_value
from actors.config.yaml.tree import Key, Row, Table, row_at, table_at

_MOST_CIRCLES = 20
_PROMPTS = ("system_prompt", "instructions", "user_prompts", "prompt")


def check_references(tree: Table, root: Path | None) -> Iterator[Problem]:
    """Yield names that are used twice, circles, and files that are missing.

    Args:
        tree: The raw manifest.
        root: Folder that paths are relative to; None to leave out files.
    """
    yield from _twice(tree)
    yield from _named_otherwise(tree)
    for section, links in (("teams", team_links(tree)), ("responses", _response_links(tree))):
        items = table_at(tree, section)
        for name, text in circles(items, links, f"{section} contain each other"):
            yield Problem(text, items.key_mark(name), render_path((section, name)))
    if root is not None:
        yield from _missing_files(tree, root)


def team_links(tree: Table) -> dict[str, list[str]]:
    """Return for each team the teams that it needs: members, picker, validator."""
    teams = table_at(tree, "teams")
    links: dict[str, list[str]] = {}
    for name in teams:
        team = table_at(teams, name)
        members = team.get("members", team.get("agents", team.get("nodes")))
        needed = [*(members if isinstance(members, Row) else ()), team.get("picker"), team.get("validator")]
        links[name] = [item for item in needed if isinstance(item, str) and item in teams]
    return links


def _response_links(tree: Table) -> dict[str, list[str]]:
    responses = table_at(tree, "responses")
    links: dict[str, list[str]] = {}
    for name in responses:
        response = table_at(responses, name)
        fields = table_at(response, "response_schema", "fields") or table_at(response, "fields")
        types = [field.get("type") if isinstance(field, Table) else field for field in fields.values()]
        links[name] = [
            item for text in types if isinstance(text, str) for item in sorted(named_types(text)) if item in responses
        ]
    return links


def _twice(tree: Table) -> Iterator[Problem]:
    agents, teams = table_at(tree, "agents"), table_at(tree, "teams")
    for name in teams:
        if name in agents:
            mark, first = teams.key_mark(name), agents.key_mark(name)
            where = f"{first.file}:{first.line}" if first.file != mark.file else f"line {first.line}"
            text = f"the name {name!r} is also that of an agent ({where}); names are unique among agents and teams"
            yield Problem(text, mark, render_path(("teams", name)))


def _named_otherwise(tree: Table) -> Iterator[Problem]:
    for section in ("agents", "teams", "jobs"):
        items = table_at(tree, section)
        for key in items:
            item = table_at(items, key)
            name = item.get("name")
            if name is not None and name != key:
                text = f"the name is the key {key!r}; leave 'name' out, or use 'display_name'"
                place = locate(tree, (section, key, "name"))
                yield Problem(text, place.mark, place.path, render_value(name))


def circles(items: Table, links: Mapping[str, list[str]], text: str) -> Iterator[tuple[str, str]]:
    """Yield the first name of each circle, in the order of the items, and a text that names the circle."""
    places = {name: place for place, name in enumerate(items)}
    left = dict(links)
    for _ in range(_MOST_CIRCLES):
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1][:0:-1]
            name = min(circle, key=places.__getitem__)
            start = circle.index(name)
            yield name, f"{text}: {' -> '.join(repr(item) for item in (*circle[start:], *circle[:start], name))}"
            left[name] = []  # go on without this one: there may be further circles
        else:
            return


def _missing_files(tree: Table, root: Path) -> Iterator[Problem]:
    for section in ("agents", "jobs"):
        items = table_at(tree, section)
        for key in items:
            for name, keys in _named_files(table_at(items, key)):
                try:
                    is_there = any(True for _ in matching(root, name))
                except (OSError, ValueError, RuntimeError):
                    is_there = False
                if not is_there:
                    text = f"there is no file {name!r} below {str(root)!r}"
                    yield problem_at(tree, (section, key, *keys), text)


def _named_files(item: Table) -> Iterator[tuple[str, tuple[Key, ...]]]:
    """Yield the files of knowledge and prompts, each with its place."""
    knowledge = item.get("knowledge")
    row = knowledge if isinstance(knowledge, Row) else row_at(knowledge, "paths")
    above = ("knowledge",) if row is knowledge else ("knowledge", "paths")
    for index, name in enumerate(row):
        if isinstance(name, str):
            yield name, (*above, index)
    for prompt in _PROMPTS:
        value = item.get(prompt)
        for index, entry in enumerate(value if isinstance(value, Row) else [value]):
            name = entry.get("file") if isinstance(entry, Table) else None
            if isinstance(name, str):
                yield name, (prompt, index, "file")
