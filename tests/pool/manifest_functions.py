"""What manifests of these tests import."""

from pydantic import BaseModel
from pydantic_ai.tools import Tool
from pydantic_ai.toolsets import FunctionToolset

from protocols.messages import ChatMessage

SEEN: list[str] = []
ASKED: list[str] = []


class Verdict(BaseModel):
    """A structured answer."""

    text: str
    score: int = 0


def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()


def note(text: str, mark: str = "") -> str:
    """Remember a text."""
    SEEN.append(f"{mark}{text}")
    return text


def bracket(message: ChatMessage[str]) -> str:
    """Change a message on its way."""
    return f"[{message.content}]"


def is_long(message: ChatMessage[str], stats: object) -> bool:
    """A condition."""
    return len(message.content) > 10 and stats is not None


def fact() -> str:
    """Knowledge."""
    return "The tower is 300 metres high."


async def later_fact() -> str:
    """Knowledge that takes a while."""
    return "The bridge is 20 metres long."


NUMBER = 5


def allow(tool: str, arguments: object) -> bool:
    """Allow every call of a tool."""
    ASKED.append(tool)
    return arguments is not None


async def refuse(tool: str, _arguments: object) -> bool:
    """Allow no call of a tool."""
    ASKED.append(tool)
    return False


loud_tool = Tool(shout)


def loud_toolset() -> FunctionToolset[None]:
    """Make a collection of tools."""
    return FunctionToolset([shout])


async def fail_later(message: ChatMessage[str], stats: object) -> bool:
    """A condition that fails."""
    raise ConnectionError(message.content, stats)
