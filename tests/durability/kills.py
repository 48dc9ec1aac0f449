"""Many lives, each killed somewhere, and a last one that handles what is open."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING, Final

from tests.durability.findings import Findings
from tests.durability.order import DIED, JOURNAL, Order

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.forks import Forks

KILLED = (-signal.SIGKILL, -signal.SIGALRM, DIED)
ENDS: Final = {
    "shop": (("line", 14_000), ("line", 14_000), ("effect", 60), ("moment", 250_000)),
    "queued": (("line", 14_000), ("line", 14_000), ("effect", 20), ("moment", 250_000)),
    "context": (("line", 4_000), ("line", 4_000), ("effect", 3), ("moment", 150_000)),
    "desk": (("line", 20_000), ("line", 20_000), ("effect", 54), ("moment", 100_000)),
    "paid": (("line", 6_000), ("effect", 21), ("effect", 21), ("moment", 250_000)),
}
"""How lives end, and about how much a life has that does not."""


def next_death(play: str, seed: int) -> tuple[str, int]:
    """Return how and when the next life ends."""
    chance = random.Random(seed)
    kind, most = chance.choice(ENDS[play])
    return kind, chance.randint(1, most)


def survive(
    forks: Forks, folder: Path, *, kills: int, seed: int, journal: str = JOURNAL, play: str = "shop"
) -> Findings:
    """Kill so many lives, then live once until nothing is open; return what is found."""
    life = killed = 0
    while killed < kills:
        order = Order(
            folder=str(folder), play=play, journal=journal, life=life, death=next_death(play, seed + life), messages=3
        )
        killed += forks.live(order) in KILLED
        life += 1
    assert forks.live(Order(folder=str(folder), play=play, journal=journal, life=life, messages=1)) == 0
    return Findings(folder, journal=journal)
