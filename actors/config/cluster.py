"""A pool in several processes that share one database."""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, ValidationError

from actors.config.duration import PositiveSeconds
from actors.config.journal import of_postgres
from actors.config.section import Section
from actors.config.value import Flag, Name, Positive, Secret, Text
from protocols.cluster import MOST_SHARDS, SHARDS, TTL
from protocols.errors import ConfigError

AUTO: Final = "auto"
_OF_RAY: Final = ("address", "hosts", "resource")


class ClusterSpec(Section):
    """The same manifest in several processes: each durable node lives in one of them at a time.

    A text is its `url`; `true` takes the database of the `journal`.
    """

    short_forms: ClassVar[tuple[str, ...]] = ("boolean", "string")

    enabled: Flag = True
    """Whether other processes may have the same pool."""
    engine: Literal["postgres", "ray"] = "postgres"
    """Who starts the processes: you, with `postgres`; or Ray, which runs and restarts them. All share the database."""
    url: Secret | None = None
    """Address of the database, `postgresql://user:password@host/name`; that of the `journal` by default."""
    shards: Annotated[Positive, Field(le=MOST_SHARDS)] = SHARDS
    """Into how many parts the nodes are divided, which the processes share out."""
    ttl: Annotated[PositiveSeconds, Field(ge=0.1)] = TTL
    """Seconds after which the nodes of a process that is silent are taken over, or as in `6s`."""
    name: Name | None = None
    """Name of the cluster; that of the pool by default. Processes of another name are refused."""
    address: Text = AUTO
    """Where Ray is, `host:port`, or `auto` for the Ray that this machine belongs to; for `engine: ray`."""
    hosts: Positive = 2
    """How many processes Ray runs; for `engine: ray`."""
    resource: Name | None = None
    """The custom resource of Ray that each of them takes one of, instead of a CPU; for `engine: ray`."""

    @classmethod
    def of(cls, given: object) -> Self:
        """Return the cluster that the keyword of a pool stands for: True, False, an address, or a dict of keys.

        Raises:
            ConfigError: it is none of these, or a key is wrong.
        """
        if isinstance(given, cls):
            return given
        if not isinstance(given, bool | str | dict):
            raise ConfigError("a pool's cluster must be True, False, postgresql://user:password@host/name, or a dict")
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise ConfigError(f"cluster: {'; '.join(one['msg'] for one in error.errors())}") from None

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Read true, false or an address."""
        if isinstance(data, str):
            return {"url": data}
        return {"enabled": data} if isinstance(data, bool) else data

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        for key in _OF_RAY:
            if self.engine != "ray" and key in self.model_fields_set:
                yield key, "goes with 'engine: ray', and only with it"
        if self.address != AUTO and not re.fullmatch(r"[^\s/]+:\d+", self.address):
            yield "address", "expected 'auto', or the host and port of Ray's head, as in 10.0.0.5:6379"
        if self.hosts > self.shards:
            yield "hosts", f"is more than the {self.shards} 'shards', so some of the processes would have nothing to do"
        if self.url is not None and not of_postgres(self.url):
            yield "url", "expected postgresql://..."
