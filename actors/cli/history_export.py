"""Stored messages as text for other programs: JSON lines, one JSON document, or CSV for spreadsheets."""

import csv
import io
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from actors.cli.output import write
from actors.cli.timestamp import moment
from protocols.history import StoredMessage

COLUMNS: Final = (
    "created", "node", "role", "content", "model", "tokens", "input_tokens", "output_tokens", "cost",
    "conversation_id", "run_id", "id", "metadata",
)  # fmt: skip
_FORMULA: Final = re.compile(r"[\t\r\n]|[\s\0\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""A spreadsheet reads a cell with this beginning as a formula; some read past blanks and invisible signs."""


class Export:
    """One JSON document per line."""

    def add(self, message: StoredMessage) -> None:
        """Write a message."""
        write(document(message))

    def end(self) -> None:
        """Write the end of the export."""


class JsonList(Export):
    """One JSON document with all messages."""

    def __init__(self) -> None:
        self._before = "["

    def add(self, message: StoredMessage) -> None:
        """Write a message."""
        write(self._before)
        write(document(message), end="")
        self._before = ","

    def end(self) -> None:
        """Close the list."""
        write("[]" if self._before == "[" else "\n]")


class Csv(Export):
    """A line of names, then a line for each message, without what the model said in its own format."""

    def __init__(self) -> None:
        write(_line(COLUMNS), end="")

    def add(self, message: StoredMessage) -> None:
        """Write a message."""
        fields: dict[str, Any] = msgspec.structs.asdict(message)
        fields["created"] = moment(message.created)
        fields["metadata"] = json.dumps(message.metadata, ensure_ascii=False, default=str) if message.metadata else ""
        write(_line([_cell(fields[name]) for name in COLUMNS]), end="")


FORMATS: Final[Mapping[str, type[Export]]] = {"jsonl": Export, "json": JsonList, "csv": Csv}
"""The formats by name."""


def document(message: StoredMessage) -> str:
    """Return a message as one line of JSON."""
    fields: dict[str, Any] = msgspec.structs.asdict(message)
    payload = fields.pop("payload")
    fields["payload"] = None if payload is None else json.loads(payload)
    return json.dumps(fields, ensure_ascii=False, default=str)


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _line(cells: Any) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerow(cells)
    return text.getvalue()
