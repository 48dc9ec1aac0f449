"""Agents whose answers say what they were asked."""

from actors.agents.agent import Agent


def rec(name: str) -> Agent[object, str]:
    def answer(text: str) -> str:
        return f"{name}({text})"

    return Agent.from_callback(answer, name=name)
