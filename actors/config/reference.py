"""Names that must exist elsewhere in the same manifest."""

from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from actors.config.import_path import PLAIN_BUILTINS, import_text
from actors.config.read_context import reading_of

_OFTEN = frozenset({"str", "int", "float", "bool"})


def _node(value: str, info: ValidationInfo) -> str:
    reading = reading_of(info)
    return value if reading is None else reading.known(value, reading.nodes, "agent or team")


def _agent(value: str, info: ValidationInfo) -> str:
    reading = reading_of(info)
    return value if reading is None else reading.known(value, reading.agents, "agent")


def _output(value: str, info: ValidationInfo) -> str:
    reading = reading_of(info)
    if value in PLAIN_BUILTINS or (reading is not None and value in reading.responses):
        return value
    if ":" in value or "." in value:
        return import_text(value, info)
    return value if reading is None else reading.known(value, reading.responses | _OFTEN, "response")


NodeName = Annotated[str, AfterValidator(_node)]
"""Name of an agent or team of this manifest."""
AgentName = Annotated[str, AfterValidator(_agent)]
"""Name of an agent of this manifest."""
OutputName = Annotated[str, AfterValidator(_output)]
"""Name of a response of this manifest, a plain type such as `str`, or an import string."""
