"""Agents whose answers say what they were asked."""

from actors.nodes.agent import Agent


def rec(name: str) -> Agent[object, str]:
    def answer(text: str) -> str:
        return f"{name}({text})"

    return Agent.from_callback(answer, name=name)
