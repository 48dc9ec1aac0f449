"""`Supervisor`: an actor that starts its children in order, restarts those that crash, stops them in reverse order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeGuard

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStartError, ActorStoppingError
from actors.runtime.future import AsyncioFuture
from actors.runtime.owned_tasks import PendingReply
from actors.supervision.backoff import Backoff
from actors.supervision.child import check_spec, check_specs, check_supervisor
from actors.supervision.child_state import is_ignored
from actors.supervision.children import Children
from actors.supervision.intensity import RestartIntensity
from actors.supervision.operation import ChildOperationError
from actors.supervision.option import SupervisionOptionError
from actors.supervision.snapshot import ChildCounts, ChildSnapshot
from actors.supervision.strategies import LIVE, Answer, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.runtime.lifecycle import Cell
    from actors.runtime.ref import ActorRef
    from actors.runtime.termination import ChildEnded
    from actors.supervision.child import ChildKind, ChildSpec
    from actors.supervision.child_state import ChildState
    from actors.supervision.strategies import AutoShutdown, Operation, Strategy
    from protocols.control import ExitReason

_BATCH: Final = 128
"""Children that are started before the event loop runs other things."""


class Supervisor(AsyncioActor):
    """An actor that keeps its children running.

    | strategy | when a child crashes |
    |---|---|
    | one_for_one | only that child restarts |
    | one_for_all | all others stop in reverse order, then all start in order |
    | rest_for_one | those started after it stop in reverse order, then it and they start in order |

    The children start in order, each when the one before runs; if one cannot start, those before are stopped and the
    supervisor itself fails to start. A child keeps its ref and its mailbox over restarts. When there are more restarts
    than `intensity` allows, the supervisor ends with `RestartIntensityExceededError`, a crash for its own supervisor.

    All operations are plain calls, through `proxy()` from outside. Those that take time return a future; the supervisor
    goes on meanwhile, so it always answers.

    Example:
        ```python
        sup = Supervisor.start(
            [ChildSpec(Counter, args=(5,), name="counter", restart="permanent", shutdown=5.0)],
            strategy="one_for_one", intensity=RestartIntensity(limit=3, period=5.0), backoff=Backoff(min=0.2, max=30.0),
        )
        child = (await sup.proxy().children())[0]
        await child.ref.ask(1)
        ```
    """

    child_kind: ClassVar[ChildKind] = "supervisor"

    def __init__(
        self,
        children: Iterable[ChildSpec | Mapping[str, Any]] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: RestartIntensity = RestartIntensity(),  # noqa: B008 - frozen
        backoff: Backoff | None = Backoff(),  # noqa: B008 - frozen
        auto_shutdown: AutoShutdown = "never",
    ) -> None:
        """Check everything; nothing has been started if this raises.

        Args:
            children: what to start, in this order.
            strategy: which children restart together.
            intensity: how many restarts are borne in which time.
            backoff: delays of restarts for children whose spec names none; None restarts at once.
            auto_shutdown: whether the end of significant children ends the supervisor.

        Raises:
            ChildSpecError: a child is impossible, or two have the same name.
            SupervisionOptionError: another option is impossible.
        """
        super().__init__()
        self._specs = check_specs(children, strategy=strategy, auto_shutdown=auto_shutdown)
        check_supervisor(intensity=intensity, backoff=backoff)
        self._auto_shutdown: AutoShutdown = auto_shutdown
        self._family = Children(self, strategy, intensity, backoff, auto_shutdown)

    # -- look -----------------------------------------------------------------------------------------------------

    def children(self) -> list[ChildSnapshot]:
        """Return all children in the order of their start, those that do not run as well."""
        return [charge.snapshot() for charge in self._family.charges.values()]

    def get_child(self, name: str) -> ChildSnapshot | None:
        """Return one child, None if there is none of this name."""
        charge = self._family.charges.get(name)
        return None if charge is None else charge.snapshot()

    def count_children(self) -> ChildCounts:
        """Return how many children there are."""
        charges = self._family.charges.values()
        supervisors = sum(charge.spec.kind == "supervisor" for charge in charges)
        active = sum(charge.state in LIVE for charge in charges)
        return ChildCounts(len(charges), active, supervisors, len(charges) - supervisors)

    # -- change ---------------------------------------------------------------------------------------------------

    def start_child(self, spec: ChildSpec | Mapping[str, Any]) -> AsyncioFuture[ActorRef[Any] | None]:
        """Start another child, the last in order; if it cannot start it is forgotten.

        Returns:
            A future of its ref once it runs, or of None if it decided not to run. It fails with:
            ChildSpecError: the spec is impossible.
            ChildOperationError: there is a child of this name; `answer` tells whether it runs.
            ActorStartError: it could not start.
        """
        try:
            checked = check_spec(spec, auto_shutdown=self._auto_shutdown)
        except SupervisionOptionError as error:
            return self._failed(error)
        present = self._family.charges.get(checked.name)
        if present is not None:
            return self._refused("start", checked.name, present)
        if not self.cell.can_decide:
            return self._failed(ActorStoppingError(f"supervisor {self.cell.name!r} is stopping and starts no children"))
        return self._family.bring_up(self._family.add(checked), is_new=True)

    def terminate_child(self, name: str) -> AsyncioFuture[bool]:
        """Stop a child within its shutdown time, or stop restarting it; its spec stays unless it is temporary.

        Returns:
            A future that is True when it has ended. It fails with:
            ChildOperationError: there is no such child.
        """
        charge = self._family.charges.get(name)
        return self._refused("terminate", name, None) if charge is None else self._family.take_down(charge)

    def restart_child(self, name: str) -> AsyncioFuture[ActorRef[Any] | None]:
        """Start a child that does not run; it gets a new ref, since it had ended for good.

        Returns:
            A future of its ref once it runs, or of None if it decided not to run. It fails with:
            ChildOperationError: there is no such child, or it runs or is being restarted.
            ActorStartError: it could not start; its spec stays.
        """
        charge = self._family.charges.get(name)
        if charge is None or answer("restart", self._public_state(charge)) is not Answer.OK:
            return self._refused("restart", name, charge)
        return self._family.bring_up(charge, is_new=False)

    def delete_child(self, name: str) -> AsyncioFuture[bool]:
        """Forget a child that does not run.

        Returns:
            A future that is True. It fails with:
            ChildOperationError: there is no such child, or it runs or is being restarted.
        """
        charge = self._family.charges.get(name)
        if charge is None or answer("delete", self._public_state(charge)) is not Answer.OK:
            return self._refused("delete", name, charge)
        self._family.remove(charge)
        return self._done(True)

    def update_child(self, spec: ChildSpec | Mapping[str, Any]) -> AsyncioFuture[bool]:
        """Give the child of this name another spec and leave its life alone.

        Restart policy, shutdown time, backoff and the limits of mailbox and concurrency hold from now on; what the
        actor is made from holds from its next life on.

        Returns:
            A future that is True. It fails with:
            ChildSpecError: the spec is impossible, or needs a mailbox of another kind.
            ChildOperationError: there is no such child.
        """
        return self._respecify("update", spec, self._family.update)

    def replace_child(self, spec: ChildSpec | Mapping[str, Any]) -> AsyncioFuture[ActorRef[Any] | None]:
        """End the life of the child of this name and begin the next one from another spec, behind the same ref.

        It is stopped as in a restart: the message in hand gets its shutdown time, what waits in the mailbox stays for
        the next life. It does not count as a restart. A child that does not run is started.

        Returns:
            A future of its ref once it runs again, or of None if it decided not to run. It fails with:
            ChildSpecError: the spec is impossible, or needs a mailbox of another kind.
            ChildOperationError: there is no such child.
            ActorStartError: it could not start; it is tried again as after any restart that failed.
        """
        return self._respecify("replace", spec, self._family.replace)

    def _respecify(
        self,
        operation: Operation,
        spec: ChildSpec | Mapping[str, Any],
        act: Callable[[ChildState, ChildSpec], AsyncioFuture[Any]],
    ) -> AsyncioFuture[Any]:
        try:
            checked = check_spec(spec, auto_shutdown=self._auto_shutdown)
        except SupervisionOptionError as error:
            return self._failed(error)
        charge = self._family.charges.get(checked.name)
        if charge is None:
            return self._refused(operation, checked.name, None)
        return act(charge, checked)

    def set_limits(self, intensity: RestartIntensity, backoff: Backoff | None) -> AsyncioFuture[bool]:
        """Follow another restart intensity and other delays from the next failure on; past restarts still count.

        Returns:
            A future that is True. It fails with:
            SupervisionOptionError: one is impossible; nothing has changed.
        """
        try:
            check_supervisor(intensity=intensity, backoff=backoff)
        except SupervisionOptionError as error:
            return self._failed(error)
        self._family.set_limits(intensity, backoff)
        return self._done(True)

    # -- life -----------------------------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Start the children in order. Whoever overrides it awaits this one."""
        specs, self._specs = self._specs, ()
        for number, spec in enumerate(specs, 1):
            charge = self._family.add(spec)
            ready = self._family.launch(charge)
            try:
                await ready
            except ActorStartError as error:
                if not is_ignored(error):
                    text = f"supervisor {self.cell.name!r}: child {spec.name!r} could not start"
                    raise ActorStartError(text, node=spec.name) from error
                self._family.is_ignored(charge)
            else:
                self._family.is_up(charge, None)
            if number % _BATCH == 0:
                await asyncio.sleep(0)

    def on_child_event(self, event: ChildEnded) -> None:
        """Decide what becomes of a child whose incarnation has ended."""
        self._family.ended(event)

    def holds(self, child: Cell, reason: ExitReason) -> bool:
        """Whether a child that ended so is going to live again."""
        return self._family.holds(child, reason)

    def resumes(self, child: Cell, error: BaseException) -> bool:
        """Whether a child whose handler raised this goes on as it is."""
        return self._family.resumes(child, error)

    def in_start_order(self, children: tuple[Cell, ...]) -> tuple[Cell, ...]:
        """Return the children in their order: one that was brought back by request has kept its place."""
        return self._family.in_start_order(children)

    # -- answers --------------------------------------------------------------------------------------------------

    def _handle_internal(self, message: Any) -> Any:
        result: Any = super()._handle_internal(message)
        return self._answer_later(result) if _is_future(result) else result

    def _answer_later(self, result: AsyncioFuture[Any]) -> None:
        """Let the asker have what the future will bring; the supervisor does not wait for it."""
        reply = self.take_reply()
        if reply is not None:
            PendingReply(self.cell, result, reply)

    def _public_state(self, charge: ChildState) -> Any:
        return charge.snapshot().state

    def _refused(self, operation: Operation, name: str, charge: ChildState | None) -> AsyncioFuture[Any]:
        child = None if charge is None else charge.snapshot()
        word = answer(operation, None if child is None else child.state)
        ref = None if child is None else child.ref
        return self._failed(ChildOperationError(self.cell.name, operation, name, word, ref))

    def _failed(self, error: Exception) -> AsyncioFuture[Any]:
        future: AsyncioFuture[Any] = AsyncioFuture(loop=self.cell.loop)
        future.fail(error)
        return future

    def _done(self, value: Any) -> AsyncioFuture[Any]:
        future: AsyncioFuture[Any] = AsyncioFuture(loop=self.cell.loop)
        future.answer(value)
        return future


def _is_future(result: Any) -> TypeGuard[AsyncioFuture[Any]]:
    return isinstance(result, AsyncioFuture)
