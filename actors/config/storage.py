"""Where history is kept."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from actors.config.duration import PositiveSeconds
from actors.config.section import Section
from actors.config.tree import Row, Table, as_map
from actors.config.value import Flag, Positive, Secret, Text


class StoreSpec(Section):
    """One place where history is kept; a plain text is its `type`."""

    shorthand = "type"

    type: Literal["sqlite", "postgres", "sql", "memory"]
    """A file, a database server, any of both by its `url`, or nothing that lasts."""
    path: Text | None = None
    """File of `sqlite`, relative to the manifest; in the user's data folder by default."""
    url: Secret | None = None
    """Address of the database, as in `postgresql://user:password@host/name`."""
    max_messages: Positive = 100_000
    """Messages that `memory` keeps."""

    def mismatches(self) -> Iterator[tuple[str, str]]:
        """Yield what does not fit together."""
        if self.type in ("postgres", "sql") and self.url is None:
            yield "url", f"is required with 'type: {self.type}'"
        if self.type == "memory" and (self.url or self.path):
            yield "type", "'memory' takes neither 'url' nor 'path'"
        if self.path is not None and self.url is not None:
            yield "path", "does not go with 'url'"


class RetentionSpec(Section):
    """How much history is kept."""

    max_age: PositiveSeconds | None = None
    """Older messages are removed, in seconds."""
    max_messages: Positive | None = None
    """Messages of one node that are kept, the latest ones."""


class StorageSpec(Section):
    """Whether and where history is kept; the keys of one store may be written directly."""

    short_forms: ClassVar[tuple[str, ...]] = ("string",)

    providers: tuple[StoreSpec, ...] = Field(default_factory=lambda: (StoreSpec(type="sqlite"),))
    """The stores; the first one is read from."""
    log_messages: Flag = True
    """Keep messages."""
    retention: RetentionSpec = Field(default_factory=RetentionSpec)
    """How much is kept."""
    batch_size: Positive = 200
    """Messages that are written together."""
    batch_delay: PositiveSeconds = 0.5
    """Longest time before a message is written, in seconds."""

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Read the type of a store, or the keys of one, in place of `providers`."""
        if isinstance(data, str):
            return {"providers": [{"type": data}]}
        table = as_map(data)
        direct = [key for key in table if key in StoreSpec.model_fields] if table is not None else []
        if isinstance(table, Table) and direct and "providers" not in table:
            store = Table(table.mark)
            for key in direct:
                store.copy_key(key, table)
                del table[key]
            table.put("providers", Row(table.mark, [store]), table.mark, table.mark)
        return data
