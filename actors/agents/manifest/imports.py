"""What the import strings of one manifest lead to, as far as its allow-list goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.config.import_path import ImportPathError, resolve_import
from protocols.errors import ConfigError, NodeNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ImportScope:
    """Imports what a manifest may name, and says for which node something could not be imported."""

    def __init__(self, allow: Sequence[str]) -> None:
        """Take the prefixes of `allow_imports`."""
        self.allow = tuple(allow)

    def find(self, text: str, node: str) -> Any:
        """Return what an import string names.

        Raises:
            ConfigError: it is not allowed or leads nowhere.
        """
        try:
            return resolve_import(text, self.allow)
        except ImportPathError as error:
            msg = f"node {node!r}: {error}"
            raise ConfigError(msg, node=node) from error

    def function(self, text: str, node: str) -> Callable[..., Any]:
        """Return a function.

        Raises:
            ConfigError: it is not allowed, leads nowhere, or is no function.
        """
        found: object = self.find(text, node)
        if not callable(found):
            msg = f"node {node!r}: {text!r} is no function but {type(found).__name__}"
            raise ConfigError(msg, node=node)
        return found

    def exceptions(self, texts: Sequence[str], node: str) -> tuple[type[Exception], ...]:
        """Return exception types.

        Raises:
            ConfigError: one is not allowed, leads nowhere, or is no exception type.
        """
        kinds: list[type[Exception]] = []
        for text in texts:
            kind = self.find(text, node)
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                msg = f"node {node!r}: {text!r} in crash_on is no exception type"
                raise ConfigError(msg, node=node)
            kinds.append(kind)
        return tuple(kinds)


def check_free(name: str, taken: object) -> None:
    """Raise NodeNameError when there is a node of this name already."""
    if taken is not None:
        msg = f"a node named {name!r} is in the pool already ({taken!r}); choose another name"
        raise NodeNameError(msg, node=name)
