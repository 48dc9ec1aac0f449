"""Answers of a scripted model that call a tool."""

from pydantic_ai.messages import ModelResponse, ToolCallPart


def call(tool: str, **args: object) -> ModelResponse:
    return ModelResponse([ToolCallPart(tool, args)])
