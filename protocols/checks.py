"""Check the values that users give, and say in words what was expected."""

import sys
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, cast, get_type_hints

import msgspec

from protocols.errors import limited_text, nearest


class Check(msgspec.Struct, frozen=True):
    """What one value must be.

    Example:
        >>> whole(0).expected, whole(0).accepts(-1)
        ('a whole number >= 0', False)
    """

    expected: str
    """The condition in words, as it follows "must be"."""
    accepts: Callable[[Any], bool]
    """Returns True if the value fulfils the condition."""


Checks = Mapping[str, Check]
ErrorOf = Callable[[str, str], Exception]
"""Make the exception from the name of the refused value and the problem in words."""


def instance_of(expected: str, *types: type) -> Check:
    """Return the check for instances of some types."""
    return Check(expected, lambda value: isinstance(value, types))


def list_of(expected: str, accepts: Callable[[Any], bool]) -> Check:
    """Return the check for lists and tuples whose items are all accepted."""
    return Check(
        expected, lambda value: isinstance(value, list | tuple) and all(map(accepts, cast("Iterable[Any]", value)))
    )


def whole(least: int) -> Check:
    """Return the check for whole numbers of at least `least`."""
    return Check(f"a whole number >= {least}", lambda value: type(value) is int and value >= least)


def finite(least: int) -> Check:
    """Return the check for finite numbers of at least `least`."""
    return Check(f"a finite number >= {least}", lambda value: is_finite(value) and value >= least)


def choice(*words: str) -> Check:
    """Return the check for one of some words."""
    expected = f"one of {', '.join(repr(str(word)) for word in words)}"
    return Check(expected, lambda value: isinstance(value, str) and value in words)


def is_a(value: object, *types: type) -> bool:
    """Return ``isinstance``: the values of users may break their annotations."""
    return isinstance(value, types)


def fits_type(given: object, wanted: object) -> bool:
    """Return False if both are classes, unless the one is a subclass of the other; other types are not looked into."""
    if not (isinstance(given, type) and isinstance(wanted, type)) or getattr(wanted, "_is_protocol", False):
        return True
    return issubclass(given, wanted)


def is_number(value: object) -> bool:
    """Return True for a number other than nan; True and False are not numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - nan


def is_finite(value: object) -> bool:
    """Return True for a number that a float can hold, other than infinity."""
    return is_number(value) and abs(cast("float", value)) <= sys.float_info.max


def _is_address(value: object) -> bool:
    from urllib.parse import urlsplit  # actors alone need no addresses

    try:
        parts = urlsplit(cast("str", value))
        return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except (ValueError, AttributeError, TypeError):
        return False


ADDRESS = Check("an address that begins with http:// or https://, without a password", _is_address)
TEXT = instance_of("text", str)
NAME = Check("a text that is not empty", lambda value: isinstance(value, str) and bool(value.strip()))
FLAG = instance_of("True or False", bool)
FUNCTION = Check("a function", callable)
SECONDS = Check("seconds > 0", lambda value: is_number(value) and value > 0)
POSITIVE = Check("a finite number > 0", lambda value: is_finite(value) and value > 0)
TIME_LIMIT = Check("seconds > 0, or None for no limit", SECONDS.accepts)
FAILURES = list_of(
    "a tuple of classes of exceptions", lambda value: isinstance(value, type) and issubclass(value, Exception)
)


def declared_checks(kind: type) -> dict[str, Check]:
    """Return the checks in the annotations of a class, by field."""
    hints: dict[str, Any] = get_type_hints(kind, include_extras=True)
    marks = ((name, mark) for name, hint in hints.items() for mark in getattr(hint, "__metadata__", ()))
    return {name: mark for name, mark in marks if isinstance(mark, Check)}


def _value_error(_: str, problem: str) -> Exception:
    return ValueError(problem)


def check_values(
    checks: Checks, given: Mapping[str, Any], error: ErrorOf = _value_error, *, never_none: Container[str] = ()
) -> None:
    """Refuse the first value that fails its check.

    Args:
        checks: one check per name; a value without a check is accepted.
        given: the values by name. None means the default, and is accepted.
        error: makes the exception that is raised.
        never_none: names whose value must not be None.
    """
    for name, value in given.items():
        check = checks.get(name)
        if check is not None and (value is not None or name in never_none) and not check.accepts(value):
            raise error(name, f"{name} must be {check.expected}, not {limited_text(repr, value, 200)}")


def check_fields(
    checks: Checks, subject: object, error: ErrorOf = _value_error, *, never_none: Container[str] = ()
) -> None:
    """Refuse the first attribute that fails its check; see `check_values`."""
    check_values(checks, {name: getattr(subject, name) for name in checks}, error, never_none=never_none)


def check_keywords(
    who: str, given: Iterable[str], known: Iterable[str], settings: Container[str] = (), *, others: Iterable[str] = ()
) -> None:
    """Refuse an unknown keyword.

    Args:
        who: begins the error text; the name follows.
        given: names of the keywords.
        known: names of the possible keywords.
        settings: names that belong into ``model_settings``.
        others: names that the error may offer as well: parameters that were taken before.

    Raises:
        TypeError: a keyword is unknown; offers the nearest.
    """
    unknown = set(given).difference(known)
    if unknown:
        name = min(unknown)
        hint = (
            f"; it belongs into model_settings={{{name!r}: ...}}"
            if name in settings
            else nearest(name, (*known, *others))
        )
        raise TypeError(f"{who} {name!r}{hint}")
