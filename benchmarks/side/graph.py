"""langgraph: the chain and the fan-out as its documentation writes them."""
# No `from __future__ import annotations`: langgraph reads the state's types at run time.
# pyright: basic, reportMissingImports=false

import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph


class Text(TypedDict):
    """State of the chain."""

    text: str


class Texts(TypedDict):
    """State of the fan-out: the answers are added up."""

    text: str
    answers: Annotated[list[str], operator.add]


def upper(state: Text) -> Text:
    """One stage, a plain function."""
    return {"text": state["text"].upper()}


async def upper_async(state: Text) -> Text:
    """One stage, a coroutine function."""
    return {"text": state["text"].upper()}


def answer(state: Texts) -> dict[str, list[str]]:
    """One member, a plain function."""
    return {"answers": [state["text"].upper()]}


async def answer_async(state: Texts) -> dict[str, list[str]]:
    """One member, a coroutine function."""
    return {"answers": [state["text"].upper()]}


def chain(step: Any, length: int) -> Any:
    """A graph that runs ``step`` ``length`` times, one after the other."""
    graph = StateGraph(Text)
    names = [f"step{number}" for number in range(length)]
    for name in names:
        graph.add_node(name, step)
    _connect(graph, [START, *names, END])
    return graph.compile()


def _connect(graph: Any, names: Sequence[str]) -> None:
    for before, after in pairwise(names):
        graph.add_edge(before, after)


def fan_out(step: Any, width: int) -> Any:
    """A graph that runs ``step`` in ``width`` nodes side by side."""
    graph = StateGraph(Texts)
    for number in range(width):
        graph.add_node(f"member{number}", step)
        _connect(graph, [START, f"member{number}", END])
    return graph.compile()
