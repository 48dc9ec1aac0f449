"""Checks of the keywords that agents, teams and runs share."""

from pydantic_ai.models import Model
from pydantic_ai.tools import Tool

from protocols.checks import Check, instance_of, list_of

MODEL = instance_of("the name of a model, or a model", str, Model)
OUTPUT = Check(
    "a type, or an output specification of pydantic_ai", lambda value: not isinstance(value, str | bytes | int | float)
)
TOOLS = list_of("a list of functions and tools", lambda value: isinstance(value, Tool) or callable(value))
