"""The one background loop: for actors started, and runs made, where no event loop runs."""

import asyncio
import atexit
import logging
import os
import threading
from typing import Final, cast

from actors.runtime.clock import running_loop
from actors.runtime.envelope import current
from actors.runtime.errors import AskTimeoutError
from actors.runtime.system import ActorSystem

_EXIT_LIMIT: Final = 5.0
"""Seconds that forgotten actors delay the end of the interpreter at most."""

_lock = threading.Lock()
_system: ActorSystem | None = None
_pid = 0


def background_system() -> ActorSystem:
    """Return the system of the background loop. Its thread starts on first use, and again in a forked child."""
    global _system, _pid  # noqa: PLW0603 - one per process is the point
    with _lock:
        if _system is None or _system.is_closed or _system.loop.is_closed() or _pid != os.getpid():
            if _system is None:
                atexit.register(_stop)
            _system = _start()
            _pid = os.getpid()
        return _system


def current_system() -> ActorSystem:
    """Return the system of the running handler, else the default one of the running loop, else the background one."""
    loop = running_loop()
    if loop is None:
        return background_system()
    scope = current.get()
    if scope is not None and scope.cell.loop is loop:
        return cast("ActorSystem", scope.cell.system)
    return ActorSystem.of(loop)


def _start() -> ActorSystem:
    started: threading.Event = threading.Event()
    made: list[ActorSystem] = []
    loop = asyncio.new_event_loop()

    def make() -> None:
        made.append(ActorSystem.of(loop, name="background"))
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(make)
        try:
            loop.run_forever()
        finally:
            loop.close()

    threading.Thread(target=run, name="understage-background", daemon=True).start()
    started.wait()
    return made[0]


def stop_background(timeout: float = _EXIT_LIMIT) -> list[str]:
    """Stop the background system and its thread, if there is one, and return the names of actors that did not end.

    It waits `timeout` seconds and the grace period; an actor that blocks the loop for longer is named and left behind.
    """
    global _system
    with _lock:
        system, _system = _system, None
    if system is None or _pid != os.getpid() or system.loop.is_closed():
        return []
    try:
        within = timeout + system.config.grace
        stuck: list[str] = system.bridge.call(lambda: system.close(timeout=timeout), within)
    except AskTimeoutError:
        cell = system.dispatcher.current
        return [] if cell is None else [cell.name]
    thread = next((t for t in threading.enumerate() if t.name == "understage-background"), None)
    system.loop.call_soon_threadsafe(system.loop.stop)
    if thread is not None:
        thread.join(timeout)
    return stuck


def _stop() -> None:
    system = _system
    if system is None or _pid != os.getpid() or system.loop.is_closed():
        return
    alive = [cell.name for cell in tuple(system.cells)]  # not through the loop, which an actor may block
    stuck = stop_background(_EXIT_LIMIT - system.config.grace)
    for what, names in (("were still alive at exit", alive), ("that did not end at exit", stuck)):
        if names:
            logging.getLogger("understage.engine").warning("actors %s: %s", what, ", ".join(names[:20]))
