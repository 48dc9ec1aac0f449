"""When the run of a parallel team has succeeded: a pure decision over numbers."""

from dataclasses import dataclass
from typing import Literal, get_args

from protocols.errors import ConfigError, nearest

PolicyWord = Literal["all", "any", "first"]
"""Every member, at least one, or the quickest."""


@dataclass(frozen=True, slots=True)
class SuccessPolicy:
    """How many members must succeed.

    =========  ===================================================================
    ``all``    every member; the first failure ends the run
    ``any``    one is enough, but all are waited for (default)
    ``first``  the first success ends the run, the others are cancelled
    a number   so many, but all are waited for (``quorum=2`` and ``2`` are the same)
    =========  ===================================================================

    Example:
        >>> Policy.of("quorum=2").is_met(2, 3)
        True
    """

    word: PolicyWord = "any"
    quorum: int | None = None
    """Least number of successes; None when the word says it."""

    @classmethod
    def of(cls, given: "str | int | SuccessPolicy") -> "SuccessPolicy":
        """Read a policy.

        Raises:
            ConfigError: `given` is not a policy.
        """
        if isinstance(given, SuccessPolicy):
            return given
        number = str(given).removeprefix("quorum=")
        if not isinstance(given, bool) and number.isdecimal() and int(number):
            return cls(quorum=int(number))
        if given in get_args(PolicyWord):
            return cls(given)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - just checked
        words = [*get_args(PolicyWord), "quorum=2"]
        message = f"team: policy={given!r} is no policy{nearest(str(given), words)}"
        raise ConfigError(message)

    def needed(self, members: int) -> int:
        """Return the number of members that must succeed."""
        if self.quorum is not None:
            return self.quorum
        return members if self.word == "all" else 1

    def is_met(self, successes: int, members: int) -> bool:
        """Return True if the number of successes is enough."""
        return successes >= self.needed(members)

    def is_settled(self, successes: int, failures: int, members: int, *, is_patient: bool = False) -> bool:
        """Return True if the run need not wait for the other members. A patient run waits even after it has failed."""
        if successes + failures == members or (self.quorum is None and self.word == "first" and successes):
            return True
        return not is_patient and members - failures < self.needed(members)


ANY = SuccessPolicy()
ALL = SuccessPolicy("all")
