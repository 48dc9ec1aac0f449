"""Stored messages as text for other programs: JSON lines, one JSON document, or CSV for spreadsheets."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from actors.cli.timestamp import moment
from protocols.history import StoredMessage

COLUMNS: Final = (
    "created", "node", "role", "content", "model", "tokens", "input_tokens", "output_tokens", "cost",
    "conversation_id", "run_id", "id", "metadata",
)  # fmt: skip
_FORMULA: Final = re.compile(r"[\t\r\n]|[\s\0\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""A spreadsheet reads a cell with this beginning as a formula; some read past blanks and invisible signs."""


class Export(NamedTuple):
    """A message as text, and the texts around the messages."""

    text: Callable[[StoredMessage], str]
    first: str = ""
    between: str = ""
    last: str = ""
    empty: str = ""
    """What is written when there are no messages."""


def document(message: StoredMessage) -> str:
    """Return a message as one line of JSON."""
    fields: dict[str, Any] = msgspec.structs.asdict(message)
    payload = fields.pop("payload")
    fields["payload"] = None if payload is None else json.loads(payload)
    return json.dumps(fields, ensure_ascii=False, default=str)


def _json_line(message: StoredMessage) -> str:
    return f"{document(message)}\n"


def _csv(message: StoredMessage) -> str:
    """Return a message as a line, without what the model said in its own format."""
    fields: dict[str, Any] = msgspec.structs.asdict(message)
    fields["created"] = moment(message.created)
    fields["metadata"] = json.dumps(message.metadata, ensure_ascii=False, default=str) if message.metadata else ""
    return _line([_cell(fields[name]) for name in COLUMNS])


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _line(cells: Any) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerow(cells)
    return text.getvalue()


FORMATS: Final[Mapping[str, Export]] = {
    "jsonl": Export(_json_line),
    "json": Export(document, first="[\n", between=",\n", last="\n]\n", empty="[]\n"),
    "csv": Export(_csv, first=_line(COLUMNS), empty=_line(COLUMNS)),
}
"""The formats by name."""
