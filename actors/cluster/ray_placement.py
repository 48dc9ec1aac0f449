"""Where Ray comes in: it starts the hosts of a cluster, on whatever machine has room, and starts them again."""

import atexit
import logging
import os
import socket
import threading
from importlib import import_module
from typing import Any, Final

from actors.config.cluster import AUTO, ClusterSpec
from protocols.journal import JournalError

PATIENCE: Final = 60.0
"""Seconds for which a pool waits for the hosts that it has asked Ray for."""
GROUPS: Final = {"lane": 1, "poll": 32}
"""Threads of the actor of a host: for packets, and for the polls of so many processes at the same time."""
_OUTLIVE: Final = ("RAY_gcs_rpc_server_reconnect_timeout_s", str(10**6))
"""Otherwise Ray ends every process that is connected to it, a minute after its head is gone."""
_REACH: Final = 5.0
"""Seconds for which it waits for the head of Ray."""
_LONGEST: Final = 300
"""Characters that are shown of what Ray says."""

_log = logging.getLogger("understage.cluster")
_turn: Final = threading.RLock()
_users: list[bool] = []
"""The pools that use the connection of this process to Ray: True for the one that has made it."""


def ray_module() -> Any:
    """Return the library. Raises JournalError if it is not installed."""
    try:
        return import_module("ray")
    except ImportError as error:
        extra = "install the extra: pip install 'understage[ray]'"
        raise JournalError(f"'engine: ray' needs {error.name}, which is not installed; {extra}") from error


def place_hosts(spec: ClusterSpec, cluster: str, host: type, *about: object) -> None:
    """Have Ray run the hosts of a cluster: those that run already stay. `leave_ray` ends what it begins.

    Args:
        spec: where Ray is, and how many hosts there are to be.
        cluster: the name of the cluster, which is their namespace in Ray.
        host: the class of their actors; its `ready` says what is wrong, or nothing.
        *about: what it is made with.

    Raises:
        JournalError: Ray cannot be reached or used, or a host cannot open its pool.
    """
    os.environ.setdefault(*_OUTLIVE)
    ray = ray_module()
    with _turn:
        _users.append(not ray.is_initialized())
        try:
            if not ray.is_initialized():
                _reach(spec.address)
                ray.init(spec.address, namespace=cluster, log_to_driver=False, logging_level=logging.ERROR)
            _start(ray, spec, cluster, host, about)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            leave_ray()
            text = f"cluster {cluster!r}: Ray at {spec.address!r} cannot be used: {said_by(error)}"
            raise JournalError(text) from error


def said_by(error: BaseException) -> str:
    """Return an error of Ray in one line."""
    return " ".join(str(error).split())[:_LONGEST] or type(error).__name__


def leave_ray() -> None:
    """Use Ray no more. The last pool of the process disconnects, unless the program itself is connected."""
    with _turn:
        ray = ray_module()
        if len(_users) == 1 and _users[0] and ray.is_initialized():
            _disconnect(ray)
        _users.pop()


def _disconnect(ray: Any) -> None:
    """Disconnect, unless Ray's process of this machine is gone: it would end this process, now or at its end."""
    try:
        with socket.socket(socket.AF_UNIX) as raylet:
            raylet.connect(ray._private.worker.global_worker.node.raylet_socket_name)  # noqa: SLF001 - nothing else tells
    except OSError:
        atexit.unregister(ray.shutdown)
    else:
        ray.shutdown()


def _reach(address: str) -> None:
    """Raise OSError at once if nothing listens there: Ray itself would try for a long time."""
    if address != AUTO:
        host, _, port = address.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), _REACH).close()


def _start(ray: Any, spec: ClusterSpec, cluster: str, host: type, about: tuple[object, ...]) -> None:
    need: dict[str, Any] = {"resources": {spec.resource: 1}, "num_cpus": 0} if spec.resource else {"num_cpus": 1}
    lasts = {"lifetime": "detached", "max_restarts": -1, "max_task_retries": 0, "scheduling_strategy": "SPREAD"}
    actor, where = ray.remote(concurrency_groups=GROUPS)(host), {"namespace": cluster, "get_if_exists": True}
    names = [f"host-{number + 1}" for number in range(spec.hosts)]
    asked = {name: actor.options(name=name, **where, **lasts, **need).remote(*about) for name in names}
    replies = {one.ready.remote(): name for name, one in asked.items()}
    done, late = ray.wait([*replies], num_returns=len(replies), timeout=PATIENCE)
    problems: dict[str, str] = {}
    for reply in done:
        try:
            problems[replies[reply]] = ray.get(reply)
        except ray.exceptions.RayActorError:  # it has just died, and is started again
            late.append(reply)
    for name in (found := [name for name, problem in problems.items() if problem]):
        ray.kill(asked[name], no_restart=True)
    if found:
        raise RuntimeError(f"{found[0]} cannot open its pool: {problems[found[0]]}")
    if late:
        missing = ", ".join(sorted(replies[reply] for reply in late))
        what = f"{spec.resource!r}" if spec.resource else "CPU"
        _log.warning("Ray has not started %s yet; each begins as soon as a machine has a free %s", missing, what)
