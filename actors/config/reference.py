"""Names that must exist elsewhere in the same manifest."""

from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from actors.config.import_path import PLAIN_BUILTINS, ImportPathError, check_import, split_import
from actors.config.read_context import complaint, reading_of

_NODE, _AGENT, _RESPONSE = "agent or team", "agent", "response"


def _node(value: str, info: ValidationInfo) -> str:
    reading = reading_of(info)
    if reading is not None and value not in reading.nodes:
        raise reading.unknown_name(value, reading.nodes, _NODE)
    return value


def _agent(value: str, info: ValidationInfo) -> str:
    reading = reading_of(info)
    if reading is not None and value not in reading.agents:
        raise reading.unknown_name(value, reading.agents, _AGENT)
    return value


def _output(value: str, info: ValidationInfo) -> str:
    reading = reading_of(info)
    if value in PLAIN_BUILTINS or (reading is not None and value in reading.responses):
        return value
    if ":" not in value and "." not in value:
        if reading is not None:
            raise reading.unknown_name(value, reading.responses | _OFTEN, _RESPONSE)
        return value
    try:
        if reading is None:
            split_import(value)
        else:
            check_import(value, reading.allow_imports)
    except ImportPathError as error:
        raise complaint(str(error)) from None
    return value


_OFTEN = frozenset({"str", "int", "float", "bool"})

NodeName = Annotated[str, AfterValidator(_node)]
"""Name of an agent or team of this manifest."""
AgentName = Annotated[str, AfterValidator(_agent)]
"""Name of an agent of this manifest."""
OutputName = Annotated[str, AfterValidator(_output)]
"""Name of a response of this manifest, a plain type such as `str`, or an import string."""
