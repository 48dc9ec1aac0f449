"""Checks of supervision options. A bad value is refused when it is written down, before anything starts."""

import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn, Self, cast

from protocols.errors import ConfigError, nearest


class SupervisionOptionError(ConfigError, ValueError):
    """Raised when an option of supervision has an impossible value.

    It is about the configuration, not about a child that failed to start.
    """

    def __init__(self, subject: str, field: str, problem: str) -> None:
        super().__init__(f"{self._call(subject)}: {problem}")
        self.subject = subject
        """Whose option it is."""
        self.field = field
        """Name of the refused option."""
        self.problem = problem
        """What is wrong, and what to do."""

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        return type(self), (self.subject, self.field, self.problem)

    @staticmethod
    def _call(subject: str) -> str:
        return subject


class OptionCheck:
    """Checks the values of one subject; `error` makes the error from the field and the problem."""

    __slots__ = ("_error",)

    def __init__(self, error: Callable[[str, str], SupervisionOptionError]) -> None:
        self._error = error

    def refuse(self, field: str, problem: str) -> NoReturn:
        """Raise the error of this check for `field`."""
        raise self._error(field, problem)

    def number(self, field: str, value: object, *, least: float = 0.0, above: float | None = None) -> float:
        """Return a finite number that is at least `least` and, when `above` is given, greater than it."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(field, f"{field}={shown(value)} is not a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.refuse(field, f"{field}={shown(value)} must be finite")
        if above is not None and number <= above:
            self.refuse(field, f"{field}={shown(value)} must be greater than {above:g}")
        if number < least:
            self.refuse(field, f"{field}={shown(value)} must be at least {least:g}")
        return number

    def count(self, field: str, value: object) -> int:
        """Return a whole number that is not negative."""
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(field, f"{field}={shown(value)} is not a whole number")
        if value < 0:
            self.refuse(field, f"{field}={shown(value)} must not be negative")
        return value

    def choice(self, field: str, value: object, known: Sequence[str]) -> None:
        """Accept one of the `known` words; the error offers the nearest."""
        if not isinstance(value, str) or value not in known:
            self.refuse(field, unknown(field, value, known))

    def flag(self, field: str, value: object) -> None:
        """Accept only True and False: a truthy string would hide a mistake."""
        if not isinstance(value, bool):
            self.refuse(field, f"{field}={shown(value)} must be True or False")

    def arguments(self, field: str, value: object) -> tuple[Any, ...]:
        """Return positional arguments as a tuple; a lone value, above all a text, is a mistake."""
        if not isinstance(value, tuple | list):
            self.refuse(field, f"{field}={shown(value)} must be a tuple of arguments; use {field}=({shown(value)},)")
        return tuple(cast("Sequence[Any]", value))

    def keywords(self, field: str, value: object) -> Mapping[str, Any]:
        """Return keyword arguments as a mapping of its own that cannot change; none for `None`."""
        if value is None:
            return MappingProxyType({})
        if not isinstance(value, Mapping):
            self.refuse(field, f"{field}={shown(value)} must map argument names to values")
        given = cast("Mapping[object, Any]", value)
        for key in given:
            if not isinstance(key, str):
                self.refuse(field, f"{field} has the key {shown(key)}, which is no argument name")
        return MappingProxyType(dict(cast("Mapping[str, Any]", given)))


def shown(value: object) -> str:
    """Return a short `repr` that never raises, whatever the value does."""
    try:
        return reprlib.repr(value)
    except Exception:  # a broken repr must not replace the error that is being reported
        return f"<{type(value).__name__}>"


def unknown(what: str, value: object, known: Sequence[str]) -> str:
    """Return the problem with a word that is none of the `known` ones, offering the nearest."""
    return f"unknown {what} {shown(value)}{nearest(value if isinstance(value, str) else '', known)}"
