"""Laws that hold for any tree of supervisors, whatever happens to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import pykka
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime.errors import ActorStartError
from actors.runtime.options import SystemConfig
from actors.runtime.system import ActorSystem
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec
from actors.supervision.errors import ChildOperationError
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from actors.testing.clock import ManualClock
from actors.testing.settle import settle
from protocols.control import ActorState
from tests.supervision.children import Log, member

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from actors.runtime.ref import ActorRef

EVER: Final = 100_000.0
REFUSALS: Final = (ChildOperationError, ActorStartError, pykka.ActorDeadError)


@dataclass
class Branch:
    """A supervisor of the tree to build."""

    strategy: Literal["one_for_one", "one_for_all", "rest_for_one"]
    limit: int
    delay: float
    children: list[Any] = field(default_factory=list)


def leaves() -> st.SearchStrategy[Any]:
    """Return policies of members."""
    return st.sampled_from(["permanent", "transient", "temporary"])


def branches(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Branch]:
    """Return supervisors of such children."""
    return st.builds(
        Branch,
        strategy=st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]),
        limit=st.sampled_from([0, 2, 6]),
        delay=st.sampled_from([0.0, 1.0]),
        children=st.lists(children, min_size=1, max_size=4),
    )


trees = branches(st.recursive(leaves(), branches, max_leaves=8))
steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "crash",
                "stop",
                "kill",
                "hang",
                "tell",
                "fail",
                "heal",
                "wait",
                "terminate",
                "restart",
                "delete",
                "start",
                "replace",
                "update",
            ]
        ),
        st.integers(0, 50),
        st.booleans(),
    ),
    max_size=25,
)


class Forest:
    """One running tree, with what a test needs to disturb it and to look at it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.system = ActorSystem("law", clock=self.clock, config=SystemConfig(grace=1.0))
        self.log = Log()
        self.specs: dict[str, ChildSpec] = {}
        self.branches: dict[str, ChildSpec] = {}
        self.seen: dict[Cell, None] = {}
        self.asks: list[Any] = []
        self.taken_down: set[str] = set()

    def spec(self, shape: Any, name: str) -> ChildSpec:
        """Return the spec of a member or of a supervisor with all below it."""
        if isinstance(shape, Branch):
            args, options = self.arguments(shape, name)
            self.branches[name] = ChildSpec(Supervisor, args=args, kwargs=options, name=name)
            return self.branches[name]
        self.specs[name] = spec = member(self.log, name, restart=shape, shutdown=2.0)
        return spec

    def arguments(self, branch: Branch, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what a supervisor is made with."""
        children = [self.spec(child, f"{name}.{number}") for number, child in enumerate(branch.children)]
        backoff = Backoff(min=branch.delay, max=branch.delay, jitter=0.0) if branch.delay else None
        intensity = RestartIntensity(limit=branch.limit, period=5.0)
        return (children,), {"strategy": branch.strategy, "intensity": intensity, "backoff": backoff}

    async def plant(self, branch: Branch) -> ActorRef[Supervisor]:
        """Start the tree."""
        args, options = self.arguments(branch, "root")
        return await self.system.start(Supervisor, args, options).ready()

    def cells(self) -> list[Cell]:
        """Return all living actors."""
        self.seen.update(self.system.cells)
        return list(self.system.cells)

    def supervisors(self) -> list[Supervisor]:
        """Return all living supervisors, the actor objects themselves."""
        return [cell.actor for cell in self.cells() if isinstance(cell.actor, Supervisor)]

    def members(self) -> list[Cell]:
        """Return all living members."""
        return [cell for cell in self.cells() if cell.name in self.specs]

    async def disturb(self, operation: str, number: int, rest: bool) -> None:
        """Do something to somebody, and perhaps wait until all have come to rest."""
        if operation == "wait":
            await self.clock.advance(float(number % 4))
        elif operation == "fail" and self.specs:
            self.log.failing.add(sorted(self.specs)[number % len(self.specs)])
        elif operation == "heal":
            self.log.failing.clear()
        elif operation in {"crash", "stop", "kill", "hang", "tell"}:
            self._to_member(operation, number)
        else:
            self._to_supervisor(operation, number)
        if rest:
            await settle()
            self.check_consistency()

    def _to_member(self, operation: str, number: int) -> None:
        members = self.members()
        if not members:
            return
        ref = members[number % len(members)].ref
        if operation == "kill":
            ref.kill()
        elif operation == "tell":
            self.asks.append(ref.ask(number, timeout=None))
        elif ref.is_alive():
            ref.tell(operation)

    def _to_supervisor(self, operation: str, number: int) -> None:
        supervisors = self.supervisors()
        if not supervisors:
            return
        supervisor = supervisors[number % len(supervisors)]
        known = [child.name for child in supervisor.children()]
        subject: Any
        if operation == "start" or not known:
            name = f"{supervisor.actor_ref.name}+{number}"
            self.specs[name] = member(self.log, name, restart=("permanent", "transient", "temporary")[number % 3])
            operation, subject = "start", self.specs[name]
        else:
            name = known[number % len(known)]
            subject = name
            if operation == "replace":
                subject = self.respecified(name, number)
                self.taken_down.discard(name)
            elif operation == "update":
                subject = replace(self.specs.get(name) or self.branches[name], shutdown=float(number % 3))
        if supervisor.actor_ref.is_alive():
            if operation == "terminate":
                self.taken_down.add(name)
            self.asks.append(getattr(supervisor.actor_ref.proxy(), f"{operation}_child")(subject))

    def respecified(self, name: str, number: int) -> ChildSpec:
        """Return another spec for a child."""
        if name in self.branches:
            return replace(self.branches[name], shutdown=float(number % 3))
        self.specs[name] = member(self.log, name, restart=("permanent", "transient")[number % 2], shutdown=2.0)
        return self.specs[name]

    def check_consistency(self) -> None:
        """Compare what the supervisors say with who lives."""
        living = {cell for cell in self.cells() if cell.parent is not None}
        told: set[Cell] = set()
        for supervisor in self.supervisors():
            children = supervisor.children()
            counts = supervisor.count_children()
            assert [child.name for child in children] == list(dict.fromkeys(child.name for child in children))
            assert counts.specs == counts.supervisors + counts.workers == len(children)
            told |= {cell_of(child.ref) for child in children if child.ref and child.state is not ActorState.STOPPED}
        assert told == living, {cell.name for cell in told ^ living}
        assert all(cell.parent in self.system.cells for cell in living)

    async def check_rest(self) -> None:
        """Wait long enough for all restarts: then everybody runs, or has a reason not to."""
        self.log.failing.clear()
        await self.clock.advance(EVER)
        self.check_consistency()
        for supervisor in self.supervisors():
            for child in supervisor.children():
                assert child.state in {ActorState.RUNNING, ActorState.STOPPED}, (child.name, child.state)
                if child.restart == "permanent" and child.state is ActorState.STOPPED:
                    assert child.name in self.taken_down

    async def check_end(self, root: ActorRef[Supervisor]) -> None:
        """Stop the tree: in reverse order, nobody left, every message accounted for, every ask settled."""
        orders = [[child.name for child in supervisor.children()] for supervisor in self.supervisors()]
        for cell in self.members():
            assert cell.state is ActorState.RUNNING
        self.log.take()
        self.cells()
        stopped = root.stop(timeout=1_000.0)
        await self.clock.advance(EVER)
        assert stopped.done()
        for order in orders:
            ended = [line[1:] for line in self.log.lines if line[0] == "-" and line[1:] in order]
            assert ended == [name for name in reversed(order) if name in ended]
        assert self.system.actors() == []
        for cell in self.seen:
            assert cell.accepted == cell.handled + cell.failed + cell.dead, cell.name
        results = await asyncio.wait_for(asyncio.gather(*self.asks, return_exceptions=True), timeout=5.0)
        for result in results:
            assert not isinstance(result, BaseException) or isinstance(result, REFUSALS), repr(result)


def cell_of(ref: ActorRef[Any]) -> Cell:
    return ref._cell  # pyright: ignore[reportPrivateUsage]


async def scenario(tree: Branch, disturbances: list[tuple[str, int, bool]]) -> None:
    forest = Forest()
    root = await forest.plant(tree)
    forest.check_consistency()
    for operation, number, rest in disturbances:
        await forest.disturb(operation, number, rest)
    await forest.check_rest()
    await forest.check_end(root)
    await forest.system.close(timeout=0.0)


@pytest.mark.conformance("R43")
@pytest.mark.conformance("R66")
@given(tree=trees, disturbances=steps)
@settings(max_examples=150)
def test_any_tree_comes_to_rest_and_ends_in_order_whatever_happens(
    tree: Branch, disturbances: list[tuple[str, int, bool]]
) -> None:
    asyncio.run(scenario(tree, disturbances))


@pytest.mark.soak
@given(tree=trees, disturbances=steps)
@settings(max_examples=3_000)
def test_any_tree_comes_to_rest_and_ends_in_order_many_times(
    tree: Branch, disturbances: list[tuple[str, int, bool]]
) -> None:
    asyncio.run(scenario(tree, disturbances))
