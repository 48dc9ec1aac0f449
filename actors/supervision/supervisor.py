"""`Supervisor`: an actor that starts its children in order, restarts those that crash, stops them in reverse order."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from actors.runtime.actor import AsyncioActor
from actors.runtime.cell import is_started
from actors.runtime.errors import ActorStartError, ActorStoppingError
from actors.runtime.future import AsyncioFuture
from actors.runtime.owned_tasks import PendingReply
from actors.runtime.ref import ActorRef
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildKind, ChildSpec, check_spec, check_specs, check_supervisor
from actors.supervision.child_state import ChildCounts, ChildSnapshot, ChildState, is_ignored
from actors.supervision.children import Children
from actors.supervision.errors import ChildOperationError, SupervisionOptionError
from actors.supervision.intensity import RestartIntensity
from actors.supervision.strategies import Answer, AutoShutdown, Operation, Strategy, answer

_BATCH: Final = 128
"""Children that start before the event loop runs other tasks."""


class Supervisor(AsyncioActor):
    """An actor that restarts its children when they crash.

    | strategy | when a child crashes |
    |---|---|
    | one_for_one | only that child restarts |
    | one_for_all | all others stop in reverse order, then all start in order |
    | rest_for_one | the children after it stop in reverse order, then it and they start in order |

    The children start in order, each one when the one before runs. If a child cannot start, the children before it are
    stopped and the supervisor fails to start. A child keeps its ref and its mailbox over restarts. After more restarts
    than `intensity` allows, the supervisor ends with `RestartIntensityExceededError`, a crash for its own supervisor.

    All operations are plain calls, through `proxy()` from outside. An operation that takes time returns a future, and
    the supervisor keeps answering in the meantime.

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
    """The kind of its child specs, unless they say another."""

    def __init__(
        self,
        children: Iterable[ChildSpec | Mapping[str, Any]] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: RestartIntensity = RestartIntensity(),  # noqa: B008 - frozen
        backoff: Backoff | None = Backoff(),  # noqa: B008 - frozen
        auto_shutdown: AutoShutdown = "never",
    ) -> None:
        """Check all options; no child has been started if this raises.

        Args:
            children: the children to start, in this order.
            strategy: which children restart together.
            intensity: restart limit: number of restarts allowed in a period.
            backoff: delays of restarts for children whose spec names none; None restarts at once.
            auto_shutdown: whether the end of significant children ends the supervisor.

        Raises:
            ChildSpecError: a child spec is impossible, or two children have the same name.
            SupervisionOptionError: another option is impossible.
        """
        super().__init__()
        self._actor_specs = check_specs(children, strategy=strategy, auto_shutdown=auto_shutdown)
        check_supervisor(intensity=intensity, backoff=backoff)
        self._actor_auto_shutdown: AutoShutdown = auto_shutdown
        self._actor_children = Children(self, strategy, intensity, backoff, auto_shutdown)
        if is_started(self):
            self._actor_cell.supervision = self._actor_children

    # -- look -----------------------------------------------------------------------------------------------------

    def children(self) -> list[ChildSnapshot]:
        """Return all children in start order, whether they run or not."""
        return [child.snapshot() for child in self._actor_children.states.values()]

    def get_child(self, name: str) -> ChildSnapshot | None:
        """Return the child of this name; None if no child has this name."""
        child = self._actor_children.states.get(name)
        return None if child is None else child.snapshot()

    def count_children(self) -> ChildCounts:
        """Count the children."""
        children = self._actor_children.states.values()
        supervisors = sum(child.spec.kind == "supervisor" for child in children)
        active = sum(child.is_live for child in children)
        return ChildCounts(len(children), active, supervisors, len(children) - supervisors)

    # -- change ---------------------------------------------------------------------------------------------------

    def start_child(self, spec: ChildSpec | Mapping[str, Any]) -> AsyncioFuture[ActorRef[Any] | None]:
        """Start another child, the last in order. A child that cannot start is forgotten.

        Returns:
            A future of the ref once the child runs, or of None if the child decided not to run. It fails with:
            ChildSpecError: the spec is impossible.
            ChildOperationError: there is a child of this name; `answer` tells whether it runs.
            ActorStartError: the child could not start.
        """
        try:
            checked = check_spec(spec, auto_shutdown=self._actor_auto_shutdown)
        except SupervisionOptionError as error:
            return self._actor_failed(error)
        present = self._actor_children.states.get(checked.name)
        if present is not None:
            return self._actor_refused("start", checked.name, present)
        if not self._actor_cell.can_decide:
            message = f"supervisor {self._actor_cell.name!r} is stopping and starts no children"
            return self._actor_failed(ActorStoppingError(message))
        return self._actor_children.bring_up(self._actor_children.add(checked), is_new=True)

    def terminate_child(self, name: str) -> AsyncioFuture[bool]:
        """Stop a child within its shutdown time, or stop restarting it. The spec stays unless the child is temporary.

        Returns:
            A future that is True after the end of the child. It fails with:
            ChildOperationError: no child has this name.
        """
        child = self._actor_children.states.get(name)
        return self._actor_refused("terminate", name, None) if child is None else self._actor_children.take_down(child)

    def restart_child(self, name: str) -> AsyncioFuture[ActorRef[Any] | None]:
        """Start a child that is not running. It gets a new ref.

        Returns:
            A future of the ref once the child runs, or of None if the child decided not to run. It fails with:
            ChildOperationError: no child has this name, or it runs or is being restarted.
            ActorStartError: the child could not start; its spec stays.
        """
        child = self._actor_children.states.get(name)
        if child is None or answer("restart", child.snapshot().state) is not Answer.OK:
            return self._actor_refused("restart", name, child)
        return self._actor_children.bring_up(child, is_new=False)

    def delete_child(self, name: str) -> AsyncioFuture[bool]:
        """Forget a child that does not run.

        Returns:
            A future that is True. It fails with:
            ChildOperationError: no child has this name, or it runs or is being restarted.
        """
        child = self._actor_children.states.get(name)
        if child is None or answer("delete", child.snapshot().state) is not Answer.OK:
            return self._actor_refused("delete", name, child)
        self._actor_children.remove(child)
        return self._actor_done(True)

    def update_child(self, spec: ChildSpec | Mapping[str, Any]) -> AsyncioFuture[bool]:
        """Give the child of this name another spec without a restart.

        Restart policy, shutdown time, backoff and the limits of mailbox and concurrency hold from now on. Class and
        arguments hold from the next life on.

        Returns:
            A future that is True. It fails with:
            ChildSpecError: the spec is impossible, or needs a mailbox of another kind.
            ChildOperationError: no child has this name.
        """
        return self._actor_respecify("update", spec, self._actor_children.update)

    def replace_child(self, spec: ChildSpec | Mapping[str, Any]) -> AsyncioFuture[ActorRef[Any] | None]:
        """End the life of the child of this name and begin the next one from another spec, behind the same ref.

        The child stops as in a restart: its current message gets the shutdown time, and queued messages stay for the
        next life. The restart limit does not count this. A child that does not run is started.

        Returns:
            A future of the ref once the child runs again, or of None if the child decided not to run. It fails with:
            ChildSpecError: the spec is impossible, or needs a mailbox of another kind.
            ChildOperationError: no child has this name.
            ActorStartError: the child could not start; the start is tried again as after any failed restart.
        """
        return self._actor_respecify("replace", spec, self._actor_children.replace)

    def _actor_respecify(
        self,
        operation: Operation,
        spec: ChildSpec | Mapping[str, Any],
        act: Callable[[ChildState, ChildSpec], AsyncioFuture[Any]],
    ) -> AsyncioFuture[Any]:
        try:
            checked = check_spec(spec, auto_shutdown=self._actor_auto_shutdown)
        except SupervisionOptionError as error:
            return self._actor_failed(error)
        child = self._actor_children.states.get(checked.name)
        if child is None:
            return self._actor_refused(operation, checked.name, None)
        return act(child, checked)

    def set_limits(self, intensity: RestartIntensity, backoff: Backoff | None) -> AsyncioFuture[bool]:
        """Set another restart intensity and other delays from the next failure on. Past restarts still count.

        Returns:
            A future that is True. It fails with:
            SupervisionOptionError: an option is impossible; nothing has changed.
        """
        try:
            check_supervisor(intensity=intensity, backoff=backoff)
        except SupervisionOptionError as error:
            return self._actor_failed(error)
        self._actor_children.set_limits(intensity, backoff)
        return self._actor_done(True)

    def fail(self, cause: Exception) -> None:
        """End all children and this supervisor. It is a crash for its own supervisor."""
        raise cause

    # -- life -----------------------------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Start the children in order. An override has to await this method."""
        specs, self._actor_specs = self._actor_specs, ()
        for number, spec in enumerate(specs, 1):
            child = self._actor_children.add(spec)
            ready = self._actor_children.launch(child)
            try:
                await ready
            except ActorStartError as error:
                if not is_ignored(error):
                    message = f"supervisor {self._actor_cell.name!r}: child {spec.name!r} could not start"
                    raise ActorStartError(message, node=spec.name) from error
                self._actor_children.is_ignored(child)
            else:
                self._actor_children.is_up(child, None)
            if number % _BATCH == 0:
                await asyncio.sleep(0)

    # -- answers --------------------------------------------------------------------------------------------------

    def _handle_receive(self, message: Any) -> Any:
        """Handle a message of a proxy. An operation that takes time is answered later."""
        result: Any = super()._handle_receive(message)
        if not issubclass(type(result), AsyncioFuture):
            return result
        reply = self.take_reply()
        if reply is not None:
            PendingReply(self._actor_cell, result, reply)
        return None

    def _actor_refused(self, operation: Operation, name: str, child: ChildState | None) -> AsyncioFuture[Any]:
        known = None if child is None else child.snapshot()
        word = answer(operation, None if known is None else known.state)
        ref = None if known is None else known.ref
        return self._actor_failed(ChildOperationError(self._actor_cell.name, operation, name, word, ref))

    def _actor_failed(self, error: Exception) -> AsyncioFuture[Any]:
        future: AsyncioFuture[Any] = AsyncioFuture(loop=self._actor_cell.loop)
        future.fail(error)
        return future

    def _actor_done(self, value: Any) -> AsyncioFuture[Any]:
        future: AsyncioFuture[Any] = AsyncioFuture(loop=self._actor_cell.loop)
        future.answer(value)
        return future
