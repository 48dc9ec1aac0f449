"""`understudy run FILE NODE PROMPT...`: run one node once."""

from __future__ import annotations


def run() -> None:
    """Placeholder."""
