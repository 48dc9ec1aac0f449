"""Import what a manifest names, within the limits of its allow-list."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from actors.config.import_path import ImportPathError, resolve_import
from actors.config.manifest import Manifest
from actors.config.supervision import RetrySpec, error_named
from actors.supervision.backoff import Backoff
from actors.supervision.retry import Retry
from protocols.errors import ConfigError, NodeNameError


class ImportScope:
    """Imports what a manifest names. Errors name the node."""

    def __init__(self, allow: Sequence[str]) -> None:
        self.allow = tuple(allow)

    def find(self, text: str, node: str) -> Any:
        """Return what an import string names.

        Raises:
            ConfigError: the import is not allowed or fails.
        """
        try:
            return resolve_import(text, self.allow)
        except ImportPathError as error:
            raise refusal(node, error) from error

    def function(self, text: str, node: str) -> Callable[..., Any]:
        """Return a function.

        Raises:
            ConfigError: the import is not allowed, fails, or is not a function.
        """
        found: object = self.find(text, node)
        if not callable(found):
            raise refusal(node, f"{text!r} is no function but {type(found).__name__}")
        return found

    def exceptions(self, texts: Sequence[str], node: str, key: str = "crash_on") -> tuple[type[Exception], ...]:
        """Return exception types.

        Raises:
            ConfigError: an import is not allowed, fails, or is not an exception type.
        """
        kinds: list[type[Exception]] = []
        for text in texts:
            kind = error_named(text) or self.find(text, node)
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                raise refusal(node, f"{text!r} in {key} is no exception type")
            kinds.append(kind)
        return tuple(kinds)

    def retry(self, spec: RetrySpec | None, node: str) -> Retry | None:
        """Return how often a node tries again.

        Raises:
            ConfigError: an import is not allowed, fails, or is not an exception type.
        """
        if spec is None:
            return None
        kinds = self.exceptions(spec.on, node, "retry.on")
        return Retry(attempts=spec.attempts, on=kinds, backoff=Backoff(**spec.backoff.model_dump()))


def refusal(who: str, problem: object) -> ConfigError:
    """Return the error of what a node, or a job (``job NAME``), names in a manifest."""
    name = who.removeprefix("job ")
    return ConfigError(f"{'node' if name == who else 'job'} {name!r}: {problem}", node=who)


def check_free(name: str, taken: object) -> None:
    """Raise a NodeNameError if a node has this name already."""
    if taken is not None:
        raise NodeNameError(f"a node named {name!r} is in the pool already ({taken!r}); choose another name", node=name)


def make_importable(manifest: Manifest) -> None:
    """Let a manifest with `allow_imports` import modules of its own folder, after all installed modules."""
    if manifest.allow_imports and manifest.root is not None:
        folder = str(manifest.root.resolve())
        if folder not in sys.path:
            sys.path.append(folder)
