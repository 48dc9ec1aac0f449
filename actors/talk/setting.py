"""The options of a living connection, which may be changed while messages flow."""

from typing import Any

from actors.talk.context import Condition
from actors.talk.option import ConnectionType, QueueStrategy, TalkOptions, Transform, check_options
from protocols.mailbox import Overflow


class TalkSetting:
    """The options of one connection; see `TalkOptions` for what they mean.

    Setting one changes what happens to the next message; of a queued connection also to those that wait.
    """

    connection_type: ConnectionType
    queued: bool
    queue_strategy: QueueStrategy
    capacity: int
    overflow: Overflow
    filter_condition: Condition | None
    stop_condition: Condition | None
    exit_condition: Condition | None
    delay: float | None
    wait_for_completion: bool
    per_member: bool
    hop_limit: int
    timeout: float | None
    transform_fn: Transform | None
    """The transform; `Talk.transform` adds one behind it."""
    _priority: int

    def __init__(self, options: TalkOptions) -> None:
        """Take the options to begin with."""
        given = {name: getattr(options, name) for name in _CHANGEABLE}  # checked already
        self.__dict__.update(given, transform_fn=options.transform, _priority=options.priority)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an option.

        Raises:
            TalkError: the value cannot be used; the connection goes on as before.
        """
        if name in _CHECKED:
            option = "transform" if name == "transform_fn" else name
            given = {"queued": self.queued, "delay": self.delay, option: value}
            check_options(given, f"talk {getattr(self, 'name', '')!r}")
            if name == "overflow":
                value = Overflow(value)
        super().__setattr__(name, value)

    @property
    def priority(self) -> int:
        """Lower numbers go first; for good."""
        return self._priority


_CHANGEABLE: tuple[str, ...] = tuple(
    name for name in TalkOptions.__struct_fields__ if name not in ("transform", "priority")
)
_CHECKED = frozenset((*_CHANGEABLE, "transform_fn"))
