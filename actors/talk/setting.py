"""The options of a living connection, which may be changed while messages flow."""

from actors.talk.context import Condition
from actors.talk.option import ConnectionType, QueueStrategy, TalkOptions, Transform
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

    def __init__(self, options: TalkOptions) -> None:
        """Take the options to begin with."""
        for name in _CHANGEABLE:
            setattr(self, name, getattr(options, name))
        self.transform_fn: Transform | None = options.transform
        """The transform; `Talk.transform` adds one behind it."""
        self._priority = options.priority

    @property
    def priority(self) -> int:
        """Lower numbers go first; for good."""
        return self._priority


_CHANGEABLE = tuple(name for name in TalkOptions.__struct_fields__ if name not in ("transform", "priority"))
