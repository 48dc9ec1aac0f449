"""Libraries that a kind of trigger needs come with the extra `triggers`; without them the rest of the room works."""

from __future__ import annotations

import importlib.util
from typing import Final

from protocols.triggers import TriggerExtraError

MODULES: Final = {
    "file": ("watchfiles",),
    "webhook": ("starlette", "uvicorn"),
    "time": ("cronsim",),
    "schedule": ("cronsim",),
    "email": ("imap_tools",),
}
"""Libraries by kind of trigger; kinds that are not listed need none."""


def require_extra(kind: str) -> None:
    """Check that the libraries for this kind of trigger are installed.

    Raises:
        TriggerExtraError: One is missing.
    """
    missing = [name for name in MODULES.get(kind, ()) if importlib.util.find_spec(name) is None]
    if missing:
        msg = (
            f"a trigger of type {kind!r} needs {', '.join(missing)}, which is not installed; "
            "install the extra: pip install 'understudy[triggers]'"
        )
        raise TriggerExtraError(msg)
