"""What `dir` lists of the public names: what users may use, each with its meaning."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Literal, cast, get_origin, get_type_hints

import pytest

import actors
from actors import ActorSystem, Agent, AsyncioActor, Team, TeamRun
from tests.test_layout import PUBLIC_NAMES, ROOT

KINDS = [name for name in PUBLIC_NAMES if inspect.isclass(getattr(actors, name))]
PAGES = "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").rglob("*.md")))


def ours(kind: type) -> list[type]:
    return [one for one in kind.__mro__ if one.__module__.startswith(("actors.", "protocols."))]


def engine_names(kind: Any) -> set[str]:
    return {name for one in ours(kind) for name in vars(one).get("_of_the_engine", "").split()}


def assigned(kind: type) -> Iterator[tuple[str, bool]]:
    """Yield the attributes that the text of a class sets, and whether a docstring follows."""
    text = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    body = next(node.body for node in text.body if isinstance(node, ast.ClassDef))
    inits = [node.body for node in body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    for prefix, lines in (("", body), *(("self.", init) for init in inits)):
        for line, after in zip(lines, [*lines[1:], None], strict=True):
            targets: list[Any] = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", line)]
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            for target in targets:
                name = ast.unparse(target)
                if name.startswith(prefix) and name.removeprefix(prefix).isidentifier():
                    yield name.removeprefix(prefix), told


def attributes(kind: type) -> dict[str, bool]:
    """Return the attributes of a class and of its objects, as far as they are ours; True for those with a docstring."""
    found: dict[str, bool] = {}
    for one in ours(kind):
        for name, told in assigned(one):
            found[name] = found.get(name, False) or told
        for name, value in vars(one).items():
            if callable(value) or isinstance(value, property | classmethod | staticmethod):
                found[name] = found.get(name, False) or bool(inspect.getdoc(getattr(kind, name)))
    return {name: told for name, told in found.items() if not name.startswith("_")}


@pytest.mark.parametrize("name", KINDS)
def test_every_attribute_that_users_see_has_a_meaning(name: str) -> None:
    kind = getattr(actors, name)
    parameters = inspect.signature(kind.__init__).parameters  # the docstring of the constructor explains them
    hidden = engine_names(kind)

    dumb = {each for each, told in attributes(kind).items() if not told and each not in {*parameters, *hidden}}
    assert {each for each in dumb if f".{each}" not in PAGES and f"`{each}" not in PAGES} == set()


@pytest.mark.parametrize("name", KINDS)
def test_what_is_for_the_engine_is_there(name: str) -> None:
    kind = getattr(actors, name)

    assert {each for each in engine_names(kind) if not hasattr(kind, each)} <= {*attributes(kind)}


@pytest.mark.parametrize("name", KINDS)
def test_no_property_stops_the_completion_of_notebooks(name: str) -> None:
    kind = getattr(actors, name)
    found = {each: inspect.getattr_static(kind, each) for each in dir(kind)}

    for value in found.values():
        if isinstance(value, property):
            with suppress(NameError):  # jedi looks up no further then
                assert get_origin(get_type_hints(value.fget).get("return")) is not Literal


async def test_dir_lists_no_names_of_the_engine(actor_system: ActorSystem) -> None:
    one, other = Agent("a", model="test"), Agent("b", model="test")
    talk = one >> other
    subjects: list[Any] = [one, Team([one, other]), TeamRun([one, other]), talk, actor_system]
    subjects.append(actor_system.start(AsyncioActor))

    for subject in subjects:
        kind: type[object] = type(cast("object", subject))
        listed, hidden = {*dir(subject)}, engine_names(kind)
        assert listed.isdisjoint(hidden)
        assert listed >= {each for each in vars(kind) if not each.startswith("_")} - hidden


def test_the_methods_of_the_first_hour_are_listed() -> None:
    agent = Agent("a", model="test")

    assert {*dir(agent)} >= {
        "run",
        "run_sync",
        "run_stream",
        "run_iter",
        "run_in_background",
        "run_job",
        "submit",
        "tool",
    }
    assert {*dir(agent)} >= {"history", "sessions", "connect_to", "stats", "total_stats", "name", "model", "variant"}
    assert {*dir(agent)}.isdisjoint({"perform", "reconfigure", "make_mailbox", "home", "pass_on"})
