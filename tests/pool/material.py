"""What manifests of these tests import."""

from pydantic import BaseModel

from protocols.messages import ChatMessage

SEEN: list[str] = []


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
