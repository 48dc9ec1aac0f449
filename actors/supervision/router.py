"""`Router`: several actors of one kind, the replicas, behind one ref."""

from asyncio import CancelledError
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast, get_args

from actors.runtime.cell import is_started
from actors.runtime.envelope import Envelope, current
from actors.runtime.future import AsyncioFuture
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec, ChildSpecError, check_spec
from actors.supervision.errors import SupervisionOptionError
from actors.supervision.intensity import RestartIntensity
from actors.supervision.replicas import ReplicaMailbox, Replicas, Routing
from actors.supervision.supervisor import Supervisor
from protocols.checks import Checks, check_values, choice, whole

_OPTIONS: Final[Checks] = {"replicas": whole(1), "routing": choice(*get_args(Routing))}


class Router(Supervisor):
    """A supervisor whose children, the replicas, share the messages that are sent to it.

    The messages wait in the mailbox of the router, whose bound so holds for all together. A replica gets the next one
    as soon as it has a place: one replica handles as many as `max_concurrency` of its class says. The reply, the
    deadline and the cancellation are those of the asker. Messages of one sender begin in their order, but may be
    handled at the same time. Each replica restarts alone; meanwhile the others work.

    Example:
        ```python
        workers = Router.start(ChildSpec(Worker, args=(database,)), replicas=4)
        await workers.ask(job)
        ```
    """

    def __init__(
        self,
        spec: ChildSpec | Mapping[str, Any],
        replicas: int,
        *,
        routing: Routing = "least_busy",
        intensity: RestartIntensity = RestartIntensity(),  # noqa: B008 - frozen
        backoff: Backoff | None = Backoff(),  # noqa: B008 - frozen
    ) -> None:
        """Check all options; no replica has been started if this raises.

        Args:
            spec: how each replica is made, restarted and stopped. Its name gets a number for each.
            replicas: how many there are.
            routing: which replica gets a message: the one with the fewest open messages (`least_busy`), or the next one
                in turn that has a place (`round_robin`).
            intensity: restarts of all replicas together before the router gives up.
            backoff: delays of restarts, if the spec names none.

        Raises:
            ChildSpecError: the spec is impossible, or has a mailbox: messages wait in that of the router.
            SupervisionOptionError: another option is impossible.
        """
        super().__init__(intensity=intensity, backoff=backoff)
        _check(replicas=replicas, routing=routing)
        spec = check_spec(spec)
        if spec.mailbox is not None:
            raise ChildSpecError(spec.name, "mailbox", "replicas have none of their own: give it to the router")
        self._actor_replicas = Replicas(self, spec, routing, intensity, backoff)
        self._actor_children = self._actor_replicas
        self._actor_specs = tuple(self._actor_replicas.specs(replicas))
        if is_started(self):
            self._actor_cell.supervision = self._actor_replicas
            self._actor_replicas.fit(replicas)

    def resize(self, replicas: int) -> AsyncioFuture[Any]:
        """Have another number of replicas. Those that go, the last ones, end after the messages that they have.

        Returns:
            A future that is done when the new replicas run. It fails with:
            ActorStartError: one of them could not start.
            SupervisionOptionError: the number is impossible; nothing has changed.
        """
        try:
            _check(replicas=replicas)
        except SupervisionOptionError as error:
            return self._actor_failed(error)
        known = self._actor_replicas
        staying = known.staying
        for child in staying[replicas:]:
            known.dismiss(child)
        started = [self.start_child(spec) for spec in known.specs(max(replicas - len(staying), 0))]
        known.fit()
        return started[0].join(*started[1:]) if started else self._actor_done(True)

    async def on_receive(self, message: Any) -> None:
        """Give a message to a replica, and wait until it is settled."""
        known = self._actor_replicas
        child = known.choose()
        assert child.cell is not None
        origin, reply, ref = cast("Envelope", current.get()), self.take_reply(), child.cell.ref
        send = partial(ref.tell, message) if reply is None else partial(ref.forward, message, reply)
        settling = cast("ReplicaMailbox", child.cell.mailbox).give(send, origin)
        if settling is not None:
            with suppress(CancelledError):  # the replica answers for the message, also at the end of the router
                await settling
            known.settled(child)


def _check(**options: object) -> None:
    check_values(_OPTIONS, options, partial(SupervisionOptionError, "router"), never_none=_OPTIONS)
