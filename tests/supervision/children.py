"""Children that write down what happens to them, and short ways to start and look at them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import IgnoreStart
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem
    from actors.supervision.child_state import ChildSnapshot
    from actors.testing.clock import ManualClock


class Boom(Exception):  # noqa: N818 - a crash on purpose
    """Raised by children on request."""


class Log:
    """What happened, in order, and how the next starts will go."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failing: set[str] = set()
        """Names whose start fails."""
        self.hanging: set[str] = set()
        """Names whose start does not return."""
        self.ignoring: set[str] = set()
        """Names that decide not to run."""
        self.lives: dict[str, int] = {}
        """How often each was constructed."""

    def take(self) -> list[str]:
        """Return what happened since the last time."""
        lines, self.lines = self.lines, []
        return lines


class Member(AsyncioActor):
    """A child that writes its starts and ends into a log and does what it is told."""

    def __init__(self, log: Log, name: str) -> None:
        super().__init__()
        self.log = log
        self.name = name
        self.got: list[Any] = []
        log.lives[name] = log.lives.get(name, 0) + 1

    async def on_start(self) -> None:
        """Write it down, fail, hang, or decide not to run."""
        self.log.lines.append(f"+{self.name}")
        if self.name in self.log.hanging:
            await asyncio.Event().wait()
        if self.name in self.log.failing:
            raise Boom(self.name)
        if self.name in self.log.ignoring:
            raise IgnoreStart

    def on_stop(self) -> None:
        """Write it down."""
        self.log.lines.append(f"-{self.name}")

    async def on_receive(self, message: Any) -> Any:
        """Crash, end, wait, or answer."""
        if message == "crash":
            raise Boom(self.name)
        if message == "exit":
            raise SystemExit
        if message == "stop":
            self.stop()
        elif message == "hang":
            await asyncio.Event().wait()
        elif message == "got":
            return list(self.got)
        else:
            self.got.append(message)
        return message


class Slow(Member):
    """Takes its time to clean up."""

    def __init__(self, log: Log, name: str, clock: ManualClock, seconds: float) -> None:
        super().__init__(log, name)
        self.clock = clock
        self.seconds = seconds

    async def on_stop(self) -> None:  # type: ignore[override]
        """Write down when it begins and when it is done."""
        self.log.lines.append(f"-{self.name}")
        await self.clock.sleep(self.seconds)
        self.log.lines.append(f".{self.name}")


class Plain(AsyncioActor):
    """A child without hooks."""

    def on_receive(self, message: Any) -> Any:
        """Crash or answer."""
        if message == "crash":
            raise Boom(message)
        return message


def members(log: Log, names: str, **options: Any) -> list[ChildSpec]:
    """Return a spec for each letter."""
    return [member(log, name, **options) for name in names]


def member(log: Log, name: str, **options: Any) -> ChildSpec:
    """Return the spec of one member."""
    return ChildSpec(Member, args=(log, name), name=name, **options)


def slow(log: Log, name: str, clock: ManualClock, seconds: float, **options: Any) -> ChildSpec:
    """Return the spec of a slow member."""
    return ChildSpec(Slow, args=(log, name, clock, seconds), name=name, **options)


async def supervise(system: ActorSystem, specs: Iterable[Any], **options: Any) -> ActorRef[Supervisor]:
    """Start a supervisor that restarts at once, unless it is told otherwise, and wait until its children run."""
    options.setdefault("backoff", None)
    return await system.start(Supervisor, (list(specs),), options, name=options.pop("name", None)).ready()


async def child(sup: ActorRef[Supervisor], name: str) -> ChildSnapshot:
    """Return one child; it is an error if there is none."""
    found: ChildSnapshot | None = await sup.proxy().get_child(name)
    assert found is not None, name
    return found


async def ref_of(sup: ActorRef[Supervisor], name: str) -> ActorRef[Any]:
    """Return the ref of a child."""
    ref = (await child(sup, name)).ref
    assert ref is not None, name
    return ref


async def crash(sup: ActorRef[Supervisor], name: str) -> None:
    """Crash a child and wait until all has come to rest."""
    (await ref_of(sup, name)).tell("crash")
    await settle()


async def states(sup: ActorRef[Supervisor]) -> dict[str, str]:
    """Return the states of all children, in their order."""
    return {snapshot.name: str(snapshot.state) for snapshot in await sup.proxy().children()}


async def lives(sup: ActorRef[Supervisor]) -> dict[str, int]:
    """Return the incarnations of all children, in their order."""
    return {snapshot.name: snapshot.incarnation for snapshot in await sup.proxy().children()}
