"""Small value types that many parts of the manifest use."""

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, Discriminator, Field, SecretStr, Tag

from actors.config.read_context import complain
from actors.config.section import Section
from protocols.checks import is_number

_LARGEST = 10**15
_UNITS = {"B": 1, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3, "TIB": 1024**4}
_SIZE = re.compile(r"(\d{1,15})\s*(B|KiB|MiB|GiB|TiB)?", re.IGNORECASE | re.ASCII)


def _refuse(is_wrong: Callable[[object], bool], message: str) -> Callable[[object], object]:
    """Return a validator that refuses values which pydantic would read as something else than was meant."""

    def check(value: object) -> object:
        if is_wrong(value):
            complain(message)
        return value

    return check


def _is_time_without_zone(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and value[4:5] != "-")


_number = _refuse(lambda value: isinstance(value, bool), "expected a number")
_flag = _refuse(is_number, "expected true or false")
_secret = _refuse(is_number, "expected text; put quotes around it")
_moment = _refuse(_is_time_without_zone, "expected a date and time with its zone, as in 2024-05-31T14:00:00Z")


def _size(value: object) -> int:
    parts = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if parts is not None:
        return int(parts[1]) * _UNITS[(parts[2] or "B").upper()]
    if isinstance(value, bool) or not isinstance(value, int):
        complain("expected a size: bytes as a whole number, or text such as '512KiB', '64MiB' or '2GiB'")
    return value


def _name(value: str) -> str:
    if value != value.strip() or not value.isprintable():
        complain("expected a name without line breaks, control characters or spaces at its ends")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment, json_schema_input_type=AwareDatetime)]
"""A date and time with its zone."""
Flag = Annotated[bool, BeforeValidator(_flag)]
"""True or false; the words yes, no, on and off are understood."""
Whole = Annotated[int, Field(ge=-_LARGEST, le=_LARGEST), BeforeValidator(_number)]
"""A whole number."""
Count = Annotated[int, Field(ge=0, le=_LARGEST), BeforeValidator(_number)]
"""A whole number, zero or more."""
Positive = Annotated[int, Field(ge=1, le=_LARGEST), BeforeValidator(_number)]
"""A whole number, one or more."""
Number = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST), BeforeValidator(_number)]
"""A number."""
Amount = Annotated[float, Field(ge=0, le=_LARGEST), BeforeValidator(_number)]
"""A number, zero or more; money is in US dollars."""
Size = Annotated[int, Field(ge=0, le=_LARGEST), BeforeValidator(_size, json_schema_input_type=int | str)]
"""A number of bytes, or text such as `64MiB`."""
Port = Annotated[int, Field(ge=0, le=65535), BeforeValidator(_number)]
"""A TCP port; 0 takes any free one."""
Text = Annotated[str, Field(min_length=1)]
"""Text that is not empty."""
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]
"""A name of a node, response, job, trigger: printable, at most 200 characters."""
ONE_OR_MANY = BeforeValidator(
    lambda value: (value,) if isinstance(value, str) else value, json_schema_input_type=str | list[str]
)
"""Lets a single text stand for a list of one."""
Texts = Annotated[tuple[str, ...], ONE_OR_MANY]
"""Several texts; a single one need not be a list."""
FullTexts = Annotated[tuple[Text, ...], ONE_OR_MANY]
"""Several texts, none of them empty; a single one need not be a list."""
ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]{0,63}$")]
"""A name that every provider accepts for a tool: letters, digits, `_` and `-`, at most 64."""
Secret = Annotated[SecretStr, Field(min_length=1), BeforeValidator(_secret, json_schema_input_type=str)]
"""A text that is never shown: not in repr, logs or errors; `.get_secret_value()` returns it."""

TEXT = Tag("<text>")
"""Marks the type that reads anything but a map."""
MAP = Tag("<map>")
"""Marks the type that reads a map."""


def _shape(value: object) -> str:
    return "<map>" if isinstance(value, dict | BaseModel) else "<text>"


BY_SHAPE = Discriminator(_shape)
"""Chooses between a text and a map, so that errors speak of the form that was written."""


OverflowName = Literal["reject", "drop_oldest", "drop_newest", "wait"]
"""What a full queue does."""


class QueueSpec(Section):
    """A bounded queue of messages, for connections and triggers."""

    capacity: Positive = 1000
    """How many messages may wait."""
    overflow: OverflowName = "reject"
    """What happens to a message when the queue is full: `reject` it to its sender, drop the `drop_oldest` or the
    `drop_newest` into the dead letters, or let the sender `wait`."""


class MailboxSpec(QueueSpec):
    """The mailbox of a node."""

    capacity: Positive = 10_000
    """How many messages may wait."""
