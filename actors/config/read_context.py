"""What validators may know about the whole manifest while they look at one part of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import LiteralString, NoReturn

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from actors.config.yaml.tree import Table, row_at, table_at
from protocols.errors import nearest

_ONE: LiteralString = "complaint"
_SEVERAL: LiteralString = "complaints"
_TEMPLATE: LiteralString = "{text}"

_FEW = 50


@dataclass
class ReadContext:
    """The names of a manifest that is being read; given to pydantic as the validation context."""

    agents: frozenset[str] = frozenset()
    """Names under `agents`."""
    teams: frozenset[str] = frozenset()
    """Names under `teams`."""
    responses: frozenset[str] = frozenset()
    """Names under `responses`."""
    allow_imports: tuple[str, ...] = ()
    """Prefixes under which import strings are accepted."""
    imports: set[str] = field(default_factory=set[str])
    """Import strings that the manifest names."""
    unknown: list[tuple[Table, str, str]] = field(default_factory=list[tuple[Table, str, str]])
    """Keys that no model knows: the map, the key, what to say."""
    _guesses: int = 50_000

    @property
    def nodes(self) -> frozenset[str]:
        """Names of agents and teams."""
        return self.agents | self.teams

    def known(self, name: str, known: frozenset[str], kind: str) -> str:
        """Return a known name; refuse another one, with the nearest one that exists.

        Finding the nearest of many names is slow, so only the first errors of a large manifest say it.
        """
        if name not in known:
            self._guesses -= len(known)
            near = nearest(name, sorted(known)) if self._guesses >= 0 or len(known) <= _FEW else ""
            complain(f"there is no {kind} {name!r}{near}")
        return name

    @classmethod
    def of(cls, tree: Table) -> "ReadContext":
        """Collect the names of a raw manifest."""
        return cls(
            agents=frozenset(table_at(tree, "agents")),
            teams=frozenset(table_at(tree, "teams")),
            responses=frozenset(table_at(tree, "responses")),
            allow_imports=tuple(item for item in row_at(tree, "allow_imports") if isinstance(item, str)),
        )


def reading_of(info: ValidationInfo) -> ReadContext | None:
    """Return the manifest that is being read; None when a model is made directly in Python."""
    context: object = info.context
    return context if isinstance(context, ReadContext) else None


def complain(message: str) -> NoReturn:
    """Refuse a value; its problem has this text."""
    raise PydanticCustomError(_ONE, _TEMPLATE, {"text": message})


def complaints(found: Iterator[tuple[str, str]]) -> None:
    """Raise one error for several things that do not fit together in one map.

    Args:
        found: Key and text of each.
    """
    items = list(found)
    if items:
        text = "; ".join(f"{key}: {message}" for key, message in items)
        raise PydanticCustomError(_SEVERAL, _TEMPLATE, {"text": text, "items": items})
