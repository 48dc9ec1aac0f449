"""Durable nodes: where accepted messages are kept until they are handled, and how a node keeps them."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SecretStr, ValidationError

from actors.config.duration import PositiveSeconds
from actors.config.section import Section
from actors.config.value import Count, Flag, Positive, Secret, Size, Text
from protocols.errors import ConfigError

_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg")
_OF_FILES = ("sync", "reserve", "max_size")
_MIB = 1024 * 1024


def of_postgres(url: SecretStr) -> bool:
    """Return True for the address of a database of PostgreSQL."""
    return url.get_secret_value().strip().partition("://")[0] in _SCHEMES


class DurableSpec(Section):
    """How a node keeps what it has accepted until it has handled it; `true` for the usual, `false` for in memory."""

    short_forms: ClassVar[tuple[str, ...]] = ("boolean",)

    enabled: Flag = True
    """Whether it keeps anything."""
    retries: Count = 0
    """How often a message whose run has failed is delivered again, before it is a dead letter."""
    backoff: PositiveSeconds = 5.0
    """Time between the failure of a run and the next delivery, in seconds."""
    order: Literal["loose", "strict"] = "loose"
    """Whether later messages wait for one that is to be delivered again (`strict`) or pass it (`loose`)."""
    steps: Flag = True
    """Keep finished requests to models and calls of tools, so that a run that is delivered again does not pay twice."""
    expires: PositiveSeconds | None = None
    """How long after its acceptance a message may still be delivered, in seconds; without limit by default."""

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Read true and false."""
        return {"enabled": data} if isinstance(data, bool) else data

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if "backoff" in self.model_fields_set and not self.retries:
            yield "backoff", "has no effect without 'retries'"


class JournalSpec(Section):
    """Where durable nodes keep what they have accepted; `true` for the usual, a text is its `path` or `url`."""

    short_forms: ClassVar[tuple[str, ...]] = ("boolean", "string")

    enabled: Flag = True
    """Whether there is a journal."""
    path: Text | None = None
    """The file, relative to the manifest; in the user's data folder by default."""
    url: Secret | None = None
    """Address of a database in place of the file: `postgresql://user:password@host/name`."""
    sync: Literal["process", "full"] = "process"
    """What an accepted message survives: the end of the `process`, or a loss of power too (`full`, which is slower)."""
    keep: PositiveSeconds = 86_400.0
    """How long ids and answers of handled messages are known, in seconds; a day by default."""
    deliveries: Positive = 5
    """How many deliveries of a message may end with the process, before it is a dead letter."""
    reserve: Size = 64 * _MIB
    """Room on the disk below which nothing is accepted, in bytes or as in `64MiB`."""
    max_size: Annotated[Size, Field(ge=_MIB)] = 2048 * _MIB
    """Size of the file beyond which nothing is accepted, in bytes or as in `2GiB`."""

    @classmethod
    def of(cls, given: object) -> Self:
        """Return the journal that the keyword of a pool stands for: True, False, a path or an address.

        Raises:
            ConfigError: it is none of these.
        """
        text = str(given) if isinstance(given, PurePath) else given
        if isinstance(text, str) and text and "://" not in text:
            text = str(Path(text).absolute())
        try:
            if isinstance(text, bool | str):
                return cls.model_validate(text)
        except ValidationError:
            pass
        raise ConfigError(
            "a pool's journal must be True, False, the path of a file, or postgresql://user:password@host/name"
        )

    @classmethod
    def checked(cls, given: Mapping[str, object]) -> Self:
        """Return the journal of these keys. Raises ConfigError."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise ConfigError(f"journal: {'; '.join(one['msg'] for one in error.errors())}") from None

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Read true, false, a path or an address."""
        if isinstance(data, str):
            return {"url" if "://" in data else "path": data}
        return {"enabled": data} if isinstance(data, bool) else data

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if self.url is None:
            return
        if self.path is not None:
            yield "path", "does not go with 'url'"
        if not of_postgres(self.url):
            yield "url", f"expected {_SCHEMES[0]}://...; for a file write 'path'"
        for key in _OF_FILES:
            if key in self.model_fields_set:
                yield key, "has no effect with 'url': it is about a file"
