"""Print the circles between files of the packages, imports under `TYPE_CHECKING` counted: python -m tests.circles."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.layout import Source, circles, imports_of

ROOT = Path(__file__).parent.parent
ALLOWED = {"actors.nodes.node": {"actors.nodes.team", "actors.nodes.team_run"}}
"""Arrows that may close a circle: the operators of a node name the types that they return."""


def main(rooms: list[str]) -> None:
    """Print each circle as a sorted list of modules, and the arrows inside it."""
    files = [Source.read(ROOT, file) for package in ("actors", "protocols") for file in (ROOT / package).rglob("*.py")]
    imports = {source.module: imports_of(source) - ALLOWED.get(source.module, set()) for source in files}
    for circle in circles(imports):
        if rooms and not any(f".{room}" in module for room in rooms for module in circle):
            continue
        print(f"circle of {len(circle)}:", *circle)  # noqa: T201
        for module in circle:
            print("   ", module, "->", *sorted(imports[module] & set(circle) - {module}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
