"""Reading YAML into a marked tree: safe, strict, bounded. The only file that knows the YAML library."""

import math
import re
from collections.abc import Iterator
from typing import NoReturn

import yaml

from actors.config.yaml.problem import InvalidManifestError, Mark, Problem
from actors.config.yaml.tree import DEFAULT_LIMITS, Row, SourceLimits, Table

# The parser in C is some ten times faster and gives the same events; both know only the safe subset.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,30})")
_FRACTION = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]{0,30})?\.[0-9]{1,60}|(?:0|[1-9][0-9]{0,30})\.?)(?:[eE][-+]?[0-9]{1,4})?"
)


def read_source(text: str, *, name: str, limits: SourceLimits = DEFAULT_LIMITS) -> tuple[Table, list[Problem]]:
    """Read one YAML text whose top level is a map.

    Args:
        text: The YAML.
        name: File name for errors.
        limits: Bounds on size, depth and expansion.

    Returns:
        The tree, and the problems that do not hinder reading on (duplicate keys).

    Raises:
        InvalidManifestError: The text is not YAML, is not a map, or exceeds a limit.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        _refuse(f"the text is not valid Unicode (character {error.start})", name)
    if size > limits.bytes:
        _refuse(f"the text has {size} bytes; the limit is {limits.bytes}", name)
    composer = _Composer(name, limits)
    try:
        tree = composer.compose(iter(yaml.parse(text, Loader=_Loader)))
    except yaml.MarkedYAMLError as error:
        raise InvalidManifestError([_syntax_problem(error, text, name)]) from None
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0] if str(error) else "unknown reason"
        _refuse(f"not readable as YAML: {reason}", name)
    return tree, composer.problems


def _refuse(message: str, file: str, line: int = 0) -> NoReturn:
    raise InvalidManifestError([Problem(message, Mark(file, line))]) from None


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, name: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    lines = text.split("\n")
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    indent = written[: len(written) - len(written.lstrip())]
    if "\t" in indent:
        return Problem("a tab cannot indent YAML; use spaces", Mark(name, line))
    context = f" ({error.context})" if error.context else ""
    column = f" at column {mark.column + 1}" if mark else ""
    return Problem(f"not valid YAML: {error.problem}{context}{column}", Mark(name, line))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


class _Composer:
    """Builds the tree from parser events, so that every bound is checked before memory is spent."""

    def __init__(self, name: str, limits: SourceLimits) -> None:
        self.name = name
        self.limits = limits
        self.problems: list[Problem] = []
        self._anchors: dict[str, tuple[object, int, int] | None] = {}  # value, number of values in it, height
        self._values = 0
        self._aliases = 0

    def compose(self, events: Iterator[yaml.Event]) -> Table:
        self._events = events
        event = self._next()
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            _refuse("the file is empty; expected a map with keys such as 'agents'", self.name)
        value, _ = self._value(event, 0)
        while not isinstance(event, yaml.StreamEndEvent):
            event = self._next()
            if isinstance(event, yaml.DocumentStartEvent):
                self._stop("a second document ('---'); a manifest is one document", event)
        if value is None:
            _refuse("the file is empty; expected a map with keys such as 'agents'", self.name)
        if not isinstance(value, Table):
            kind = "a list" if isinstance(value, Row) else "a single value"
            _refuse(f"expected a map with keys such as 'agents' at the top level, found {kind}", self.name, 1)
        return value

    def _next(self) -> yaml.Event:
        return next(self._events)

    def _mark(self, event: yaml.Event) -> Mark:
        return Mark(self.name, _line(event))

    def _stop(self, message: str, event: yaml.Event) -> NoReturn:
        _refuse(message, self.name, _line(event))

    def _count(self, number: int, event: yaml.Event) -> None:
        self._values += number
        if self._values > self.limits.values:
            self._stop(f"more than {self.limits.values} values when every alias is written out", event)

    def _value(self, event: yaml.Event, depth: int) -> tuple[object, int]:
        """Return the value that begins with `event`, and its height in nested maps and lists."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self._count(1, event)
        before = self._values
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            value, height = self._scalar(event), 0
        else:
            self._check_collection(event, depth)
            mapping = isinstance(event, yaml.MappingStartEvent)
            value, height = self._table(event, depth + 1) if mapping else self._row(event, depth + 1)
        if anchor is not None:
            self._anchors[anchor] = (value, self._values - before + 1, height)
        return value, height

    def _alias(self, event: yaml.AliasEvent, depth: int) -> tuple[object, int]:
        name = event.anchor
        self._aliases += 1
        if self._aliases > self.limits.aliases:
            self._stop(f"more than {self.limits.aliases} aliases", event)
        if name not in self._anchors:
            self._stop(f"alias '*{name}' has no anchor '&{name}' before it", event)
        known = self._anchors[name]
        if known is None:
            self._stop(f"alias '*{name}' stands inside its own anchor", event)
        value, size, height = known
        self._count(size, event)
        if depth + height > self.limits.depth:
            self._stop(f"nested deeper than {self.limits.depth} levels", event)
        return value, height

    def _check_collection(self, event: yaml.Event, depth: int) -> None:
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            self._stop(f"tag {tag!r} is not allowed; a manifest holds plain values only", event)
        if depth >= self.limits.depth:
            self._stop(f"nested deeper than {self.limits.depth} levels", event)

    def _scalar(self, event: yaml.ScalarEvent) -> object:
        if event.tag not in _TEXT_TAGS:
            self._stop(f"tag {event.tag!r} is not allowed; a manifest holds plain values only", event)
        return read_scalar(event.value) if event.implicit[0] and event.tag is None else event.value

    def _row(self, start: yaml.Event, depth: int) -> tuple[Row, int]:
        row = Row(self._mark(start))
        highest = 0
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            value, height = self._value(event, depth)
            row.add(value, self._mark(event))
            highest = max(highest, height)
        return row, highest + 1

    def _table(self, start: yaml.Event, depth: int) -> tuple[Table, int]:
        table = Table(self._mark(start))
        shared: list[Table] = []
        highest = 0
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key_mark = self._mark(event)
            key = self._key(event)
            value_event = self._next()
            value, height = self._value(value_event, depth)
            highest = max(highest, height)
            if key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                shared += self._shared(value, value_event)
            elif key in table:
                first = table.key_marks[key].line
                self.problems.append(
                    Problem(f"key {key!r} is written twice: in lines {first} and {key_mark.line}", key_mark)
                )
            else:
                table.put(key, value, key_mark, self._mark(value_event))
        for other in shared:
            for key in other:
                if key not in table:
                    table.copy_key(key, other)
        return table, highest + 1

    def _key(self, event: yaml.Event) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._stop("a key must be a plain word", event)
        self._count(1, event)
        return event.value

    def _shared(self, value: object, event: yaml.Event) -> list[Table]:
        found = list(value) if isinstance(value, Row) else [value]
        tables = [item for item in found if isinstance(item, Table)]
        if len(tables) != len(found):
            self._stop("'<<' takes a map or a list of maps", event)
        return tables


def read_scalar(text: str) -> bool | int | float | str | None:
    """Return the value of an unquoted scalar: YAML 1.2's core schema without octal and hexadecimal numbers.

    `no`, `on`, `22:22`, `010`, `0x1F`, `1_000` and `2024-01-01` stay text. Only `true`/`false`, decimal numbers and
    `null`/`~`/nothing are special.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    if _FRACTION.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
