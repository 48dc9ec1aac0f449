"""Checks of the keywords that agents, teams and runs share."""

from pydantic_ai.models import Model
from pydantic_ai.tools import Tool

from protocols.checks import Kind, kind, series

MODEL = kind("the name of a model, or a model", str, Model)
OUTPUT = Kind(
    "a type, or an output specification of pydantic_ai", lambda value: not isinstance(value, str | bytes | int | float)
)
TOOLS = series("a list of functions and tools", lambda value: isinstance(value, Tool) or callable(value))
