"""Where history is kept."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from actors.config.duration import PositiveSeconds
from actors.config.section import Section
from actors.config.value import Flag, Positive, Secret, Text
from actors.config.yaml.tree import Row, Table, as_table

_SCHEMES: dict[str, tuple[str, ...]] = {
    "sqlite": ("sqlite+aiosqlite", "sqlite"),
    "postgres": ("postgresql+asyncpg", "postgres", "postgresql"),
    "sql": ("sqlite+aiosqlite", "sqlite", "postgresql+asyncpg", "postgres", "postgresql"),
}


class StoreSpec(Section):
    """One place where history is kept; a plain text is its `type`."""

    shorthand = "type"
    retired: ClassVar[Mapping[str, str]] = {
        "max_messages": "write 'capacity' for 'memory'; other stores obey 'retention' beside 'providers'"
    }

    type: Literal["sqlite", "postgres", "sql", "memory"]
    """A file, a database server, any of both by its `url`, or nothing that lasts."""
    path: Text | None = None
    """File of `sqlite`, relative to the manifest; in the user's data folder by default."""
    url: Secret | None = None
    """Address of the database: `postgresql://user:password@host/name`, or `sqlite:///PATH` as `path`."""
    capacity: Positive | None = None
    """Messages that `memory` keeps, 100,000 by default; older ones make room."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if self.type in ("postgres", "sql") and self.url is None:
            yield "url", f"is required with 'type: {self.type}'"
        if self.type == "memory" and (self.url or self.path):
            yield "type", "'memory' takes neither 'url' nor 'path'"
        if self.type != "memory" and self.capacity is not None:
            yield "capacity", "goes with 'type: memory' only; what a database keeps is said under 'retention'"
        if self.type in ("postgres", "sql") and self.path is not None:
            yield "path", f"does not go with 'type: {self.type}'; write it into 'url'"
        elif self.type == "sqlite" and self.path is not None and self.url is not None:
            yield "path", "does not go with 'url'"
        elif self.url is not None and not self._fits(self.url.get_secret_value()):
            # Said of the type: the address may hold a password in any place.
            yield "type", f"does not fit the address in 'url'; write {_SCHEMES[self.type][-1]}://... there"

    def _fits(self, url: str) -> bool:
        schemes = _SCHEMES.get(self.type, ())
        return not schemes or url.strip().partition("://")[0] in schemes


class RetentionSpec(Section):
    """How much history is kept; the oldest messages go first, at the start and then once an hour."""

    max_age: PositiveSeconds | None = None
    """Older messages are removed, in seconds."""
    max_messages: Positive | None = None
    """Messages that each store keeps, over all conversations."""
    max_per_conversation: Positive | None = None
    """Messages of one conversation that are kept."""


class StorageSpec(Section):
    """Whether and where history is kept; the keys of one store may be written directly."""

    short_forms: ClassVar[tuple[str, ...]] = ("string",)
    retired: ClassVar[Mapping[str, str]] = {
        "max_messages": "write it under 'retention', or 'capacity' for what 'memory' keeps"
    }

    providers: tuple[StoreSpec, ...] = Field(default_factory=lambda: (StoreSpec(type="sqlite"),), min_length=1)
    """The stores: all are written to, and the first one that can be read is read from."""
    log_messages: Flag = True
    """Keep messages."""
    retention: RetentionSpec = Field(default_factory=RetentionSpec)
    """How much is kept."""
    batch_size: Positive = 200
    """Messages that are written together."""
    batch_delay: PositiveSeconds = 0.5
    """Longest time before a message is written, in seconds."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        for place, store in enumerate(self.providers):
            if store in self.providers[:place]:
                yield "providers", f"store {place + 1} is the same as store {self.providers.index(store) + 1}"

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the keys of a single store to the schema that editors use."""
        reference = super().__get_pydantic_json_schema__(core_schema, handler)
        full = handler.resolve_ref_schema(reference)["anyOf"][-1]
        stores = handler.resolve_ref_schema(full["properties"]["providers"]["items"])["anyOf"][-1]
        full["properties"] = {**stores["properties"], **full["properties"]}
        return reference

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Read the type of a store, or the keys of one, in place of `providers`."""
        if isinstance(data, str):
            return {"providers": [{"type": data}]}
        table = as_table(data)
        direct = [key for key in table if key in StoreSpec.model_fields] if table is not None else []
        if table is not None and direct and "providers" not in table:
            store = Table(table.mark)
            for key in direct:
                store.copy_key(key, table)
                del table[key]
            table.put("providers", Row(table.mark, [store]), table.mark, table.mark)
            table.written["providers"] = ""
        return data if table is None else table
