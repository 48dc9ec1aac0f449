"""Connections as the text of a mermaid flowchart."""

import re
from collections.abc import Iterable

from actors.talk.context import TalkView
from protocols.plain_text import mermaid_text

_PLAIN = re.compile(r"[A-Za-z_]\w*")
_ODD = re.compile(r"[^A-Za-z0-9]")
_RESERVED = frozenset({"end", "graph", "subgraph", "flowchart", "class", "click", "style", "default"})


def mermaid(talks: Iterable[TalkView], *, has_details: bool) -> str:
    """Return a flowchart with one line per connection and target."""
    lines = ["flowchart LR"]
    for talk in talks:
        note = _details(talk) if has_details else ""
        arrow = f"-->|{mermaid_text(note)}|" if note else "-->"
        lines += [f"    {label(talk.source.name)}{arrow}{label(target.name)}" for target in talk.targets]
    return "\n".join(lines)


def label(name: str) -> str:
    """Return a node of the chart: the name, or an id with the name as text if mermaid would misread the name."""
    if _PLAIN.fullmatch(name) and name.lower() not in _RESERVED and name.isascii():
        return name
    plain = _ODD.sub(lambda found: f"_{ord(found[0]):x}_", name)
    return f"n_{plain}[{mermaid_text(name)}]"


def _details(talk: TalkView) -> str:
    facts: list[str] = [talk.connection_type]
    if talk.queued:
        facts.append(f"queued: {talk.queue_strategy}")
    if talk.delay:
        facts.append(f"delay: {talk.delay:g} s")
    if talk.priority:
        facts.append(f"priority: {talk.priority}")
    parts = {
        "filter": talk.filter_condition, "transform": talk.transform_fn,
        "stop": talk.stop_condition, "exit": talk.exit_condition,
    }  # fmt: skip
    return ", ".join([*facts, *(name for name, part in parts.items() if part is not None)])
