"""What came out: the rounds of each contestant, and how they compare with the targets."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.question import Question, Target


@dataclass(slots=True)
class Outcome:
    """All rounds of one contestant."""

    values: list[float] = field(default_factory=list[float])
    """Seconds (or bytes) per operation, one per round."""
    peak_rss: list[int] = field(default_factory=list[int])
    """Peak resident bytes of the process, one per round."""
    count: int = 0
    """Operations per batch."""
    skipped: str = ""
    """Why it did not run."""
    failed: str = ""
    """What went wrong."""

    @property
    def median(self) -> float | None:
        """Median over the rounds; None if it did not run to the end in any round."""
        return statistics.median(self.values) if self.values else None

    @property
    def is_over(self) -> bool:
        """Whether a further round makes no sense."""
        return bool(self.skipped or self.failed)


@dataclass(slots=True)
class Answer:
    """A question with the outcome of each contestant."""

    name: str
    """Short name: ``ask`` for ``bench_ask``."""
    question: Question
    """What was asked."""
    outcomes: dict[str, Outcome]
    """By contestant."""

    def ratio(self, subject: str, against: str) -> float | None:
        """How many times as much ``subject`` takes as ``against``; None if either is unknown."""
        ours, theirs = self.outcomes[subject].median, self.outcomes[against].median
        if ours is None or theirs is None or theirs <= 0 or ours <= 0:
            return None
        return ours / theirs

    def excess(self, target: Target) -> float | None:
        """How much more the subject takes than the other one, in the question's unit; None if either is unknown."""
        ours, theirs = self.outcomes[target.subject].median, self.outcomes[target.against].median
        return None if ours is None or theirs is None else (ours - theirs) / self.question.unit.scale

    def is_met(self, target: Target) -> bool | None:
        """Whether a target is reached; None if that cannot be said."""
        if not target.against:
            value = self.outcomes[target.subject].median
            return None if value is None else value / self.question.unit.scale <= (target.at_most or 0.0)
        ratio = self.ratio(target.subject, target.against)
        if ratio is None:
            return None
        if target.more is not None:
            return (self.excess(target) or 0.0) <= target.more
        if target.faster is not None:
            return 1 / ratio >= target.faster
        return ratio <= (target.at_most or 0.0)
