"""Small value types that many parts of the manifest use."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from actors.config.reading import complaint


def _number(value: object) -> object:
    # pydantic would read `true` as 1.
    if isinstance(value, bool):
        message = "expected a number"
        raise complaint(message)
    return value


def _flag(value: object) -> object:
    # pydantic would read 1 as true.
    if isinstance(value, int | float) and not isinstance(value, bool):
        message = "expected true or false"
        raise complaint(message)
    return value


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _secret(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        message = "expected text; put quotes around it"
        raise complaint(message)
    return value


def _name(value: str) -> str:
    if value != value.strip() or not value.isprintable():
        message = "expected a name without line breaks, control characters or spaces at its ends"
        raise complaint(message)
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]
"""True or false; the words yes, no, on and off are understood."""
Count = Annotated[int, Field(ge=0), BeforeValidator(_number)]
"""A whole number, zero or more."""
Positive = Annotated[int, Field(ge=1), BeforeValidator(_number)]
"""A whole number, one or more."""
Amount = Annotated[float, Field(ge=0), BeforeValidator(_number)]
"""A number, zero or more; money is in US dollars."""
Port = Annotated[int, Field(ge=0, le=65535), BeforeValidator(_number)]
"""A TCP port; 0 takes any free one."""
Text = Annotated[str, Field(min_length=1)]
"""Text that is not empty."""
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]
"""A name of a node, response, job, trigger: printable, at most 200 characters."""
Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str])]
"""Several texts; a single one need not be a list."""
Secret = Annotated[SecretStr, Field(min_length=1), BeforeValidator(_secret, json_schema_input_type=str)]
"""A text that is never shown: not in repr, logs or errors; `.get_secret_value()` returns it."""
