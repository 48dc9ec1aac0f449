"""Names: what an actor may call its own attributes and methods."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pykka
import pytest

import actors.runtime
import actors.supervision
from actors.runtime.actor import AsyncioActor
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.runtime.system import ActorSystem

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "engine.md").read_text(encoding="utf-8")


def names_in(package: Any) -> Iterable[str]:
    """Return every attribute that the source of a package reads, sets or defines."""
    for file in Path(package.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                yield node.attr
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node.name


TAKEN = {name for kind in (pykka.Actor, object) for name in dir(kind)}
USED = {name for package in (actors.runtime, actors.supervision) for name in names_in(package)}
FREE = sorted(
    name
    for name in {*USED, "cell", "system", "attach", "holds", "resumes", "in_start_order"} - TAKEN
    if f"`{name}`" not in PAGE and not name.startswith(("__", "_actor_"))
)


class Plain(AsyncioActor):
    """Crashes when told so."""

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, Exception):
            raise message
        return message


def test_every_public_name_of_an_actor_is_on_the_page() -> None:
    names = {name for name in dir(AsyncioActor) if not name.startswith("_")} - {"system"} - TAKEN

    assert sorted(name for name in names if f"`{name}`" not in PAGE) == []


def called(*_: object) -> None:
    """Be the method of a user, which the engine must not take for its own."""
    pytest.fail("the engine called a method of the user")


def with_free_names(kind: type[Any], *, in_instance: bool) -> type[Any]:
    """Return a subclass that uses every free name for something of its own."""

    class Named(kind):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)  # pyright: ignore[reportUnknownMemberType]
            for name in FREE if in_instance else ():
                setattr(self, name, (3, 4))

    for name in () if in_instance else FREE:
        setattr(Named, name, called)
    return Named


@pytest.mark.parametrize("in_instance", [True, False])
async def test_an_actor_may_use_every_name_that_is_not_documented(actor_system: ActorSystem, in_instance: bool) -> None:
    named = with_free_names(Plain, in_instance=in_instance)
    boss = with_free_names(Supervisor, in_instance=False) if not in_instance else Supervisor
    top = await actor_system.start(boss, ([ChildSpec(named, name="child")],), {"backoff": None}, name="top").ready()
    child = (await top.proxy().get_child("child")).ref

    with pytest.raises(ValueError, match="bug"):
        await child.ask(ValueError("bug"))

    assert [await child.ask("again"), await child.proxy().max_concurrency] == ["again", 1]
    assert child.incarnation == 2
    assert await top.stop() is True


async def test_what_a_ref_does_not_have_is_found_by_its_proxy(actor_system: ActorSystem) -> None:
    class Greeter(AsyncioActor):
        def hello(self) -> str:
            return "hello"

    ref: Any = actor_system.start(Greeter)

    with pytest.raises(AttributeError, match=r"'hello'.*ref\.proxy\(\)\.hello") as caught:
        ref.hello()
    assert (caught.value.name, caught.value.obj) == ("hello", ref)
    assert not hasattr(ref, "nothing")
    assert await ref.proxy().hello() == "hello"
