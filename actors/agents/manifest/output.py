"""From the name of an output type in the manifest to the type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.config.response import ResponseSpec
from actors.config.response_model import ResponseModelError, build_model
from protocols.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.agents.manifest.imports import ImportScope

_PLAIN: Mapping[str, type] = {
    kind.__name__: kind for kind in (str, int, float, bool, bytes, list, dict, tuple, set, frozenset)
}


def output_type(
    output: str | ResponseSpec | None, who: str, responses: Mapping[str, ResponseSpec], scope: ImportScope
) -> Any:
    """Return the type of an answer.

    Args:
        output: name of a response, a plain type such as ``str``, an import string, or a response; None is ``str``.
        who: the node or job, for errors, and the name of a response that has none.
        responses: the manifest's responses.
        scope: what may be imported.

    Raises:
        ConfigError: the output is not a type.
    """
    if output is None:
        return str
    response = output if isinstance(output, ResponseSpec) else responses.get(output)
    if response is not None:
        name = who if isinstance(output, ResponseSpec) else output
        try:
            return build_model(response, name=name, responses=responses, allow=scope.allow)
        except ResponseModelError as error:
            message = f"node {who!r}: {error}"
            raise ConfigError(message, node=who) from error
    plain = _PLAIN.get(str(output))
    return scope.find(str(output), who) if plain is None else plain
