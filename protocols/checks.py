"""What keywords may hold: pure checks that say in words what was expected."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """What one keyword may hold."""

    words: str
    """What it is, for people."""
    fits: Callable[[Any], bool]
    """Whether a value is it."""


def kind(words: str, *types: type) -> Kind:
    """Return the kind of values of some types."""
    return Kind(words, lambda value: isinstance(value, types))


def series(words: str, fits: Callable[[Any], bool]) -> Kind:
    """Return the kind of lists and tuples whose items fit."""
    return Kind(words, lambda value: isinstance(value, list | tuple) and all(map(fits, cast("Iterable[Any]", value))))


def whole(least: int) -> Kind:
    """Return the kind of whole numbers from a least one."""
    return Kind(f"a whole number >= {least}", lambda value: type(value) is int and value >= least)


def choice(*words: str) -> Kind:
    """Return the kind of some words."""
    return Kind(f"one of {', '.join(map(repr, words))}", lambda value: isinstance(value, str) and value in words)


def is_a(value: object, *types: type) -> bool:
    """Return ``isinstance``: what users pass may not be what its annotation promises."""
    return isinstance(value, types)


def is_number(value: object) -> bool:
    """Whether something is a number other than nan; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def is_failure(value: object) -> bool:
    """Whether something is a class of exceptions."""
    return isinstance(value, type) and issubclass(value, Exception)


TEXT = kind("text", str)
FLAG = kind("True or False", bool)
FUNCTION = Kind("a function", callable)
SECONDS = Kind("seconds > 0, or None for no limit", lambda value: is_number(value) and value > 0)
FAILURES = series("a tuple of classes of exceptions", is_failure)


def misfit(kinds: Mapping[str, Kind], given: Values, *, never_none: Iterable[str] = ()) -> str | None:
    """Return the first keyword whose value is not what it must be, in words; None when all are.

    Args:
        kinds: what the keywords may hold; one that is not among them may hold anything.
        given: the keywords. None means the default, and fits.
        never_none: keywords for which None does not fit.
    """
    for name, value in given.items():
        expected = kinds.get(name)
        if expected is None or (value is None and name not in never_none):
            continue
        if not expected.fits(value):
            return f"{name} must be {expected.words}, not {value!r:.200}"
    return None
