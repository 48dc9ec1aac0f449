"""The history of a manifest on the command line."""

import asyncio
import csv
import io
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

import msgspec

from actors.app import configure_logging, history_stores, retention_of
from actors.cli.exit_code import CommandError, fail
from actors.cli.option import is_debug
from actors.cli.output import table, write
from actors.cli.progress import to_stderr
from actors.cli.redaction import for_stdout, one_line
from actors.config.duration import parse_duration
from actors.config.load import load_manifest
from actors.storage.memory import MemoryHistoryStore
from protocols.history import GROUPS, HistoryGroup, HistoryQuery, HistoryStats, Retention, StoredMessage
from protocols.stores import HistoryStore, StorageError, StoreMissingError

T = TypeVar("T")

_HOUR: Final = 3_600.0
_DAY: Final = 86_400.0
_PAGE: Final = 1_000


class HistoryView:
    """Opens the store of a manifest, asks one question, and writes the answer to standard output.

    Args:
        manifest_file: the manifest.
        since: earliest time, see `moment_of`.
        until: latest time, see `moment_of`.
        **conditions: further ones of a `HistoryQuery`.

    Raises:
        ManifestError: the manifest cannot be read or is wrong.
        CommandError: the manifest keeps no history, or a condition is impossible.
    """

    def __init__(
        self, manifest_file: Path, *, since: str | None = None, until: str | None = None, **conditions: Any
    ) -> None:
        configure_logging(debug=is_debug.get())
        self._manifest = load_manifest(manifest_file)
        now = time.time()
        begin = None if since is None else moment_of(since, "--since", now=now)
        end = None if until is None else moment_of(until, "--until", now=now)
        self._query = checked(lambda: HistoryQuery(since=begin, until=end, **conditions))
        if self._manifest.storage is None:
            fail(f"manifest {str(manifest_file)!r} keeps no history; add 'storage: sqlite' to it")

    def show(self, limit: int, *, as_json: bool) -> None:
        """Write the latest messages."""
        query = checked(lambda: msgspec.structs.replace(self._query, limit=limit))
        messages = self._ask(lambda store: store.query(query))[::-1]
        for message in messages:
            write(document(message) if as_json else for_stdout(_line(message)))

    def stats(self, by: str, *, as_json: bool) -> None:
        """Write sums."""
        if by not in GROUPS:
            fail(f"--by must be one of {', '.join(GROUPS)}, not {by!r}")
        group = cast("HistoryGroup", by)
        found = self._ask(lambda store: store.stats(self._query, group_by=group))
        if as_json:
            write(json.dumps([msgspec.to_builtins(one) for one in found], ensure_ascii=False, indent=2))
        else:
            write(for_stdout(table((by, "messages", "tokens", "cost", "last"), map(_row, found))))

    def export(self, form: str) -> None:
        """Write all messages in a format of `FORMATS`."""
        if form not in FORMATS:
            fail(f"--format must be one of {', '.join(FORMATS)}, not {form!r}")
        self._ask(lambda store: self._export(store, form))

    def prune(self, days: float | None, most: int | None, each: int | None, *, as_json: bool) -> None:
        """Remove what the retention does not keep, and write the number of removed messages."""
        retention = self._retention(days, most, each)
        self._remove(lambda store: store.prune(retention), as_json=as_json)

    def forget(self, *, as_json: bool) -> None:
        """Remove a session, and write the number of removed messages."""
        session = cast("str", self._query.session)
        self._remove(lambda store: store.forget(session, agent=self._query.agent), as_json=as_json)

    def _remove(self, work: Callable[[HistoryStore], Awaitable[int]], *, as_json: bool) -> None:
        removed = asyncio.run(self._in_all(work))
        write(json.dumps({"removed": removed}) if as_json else f"{removed:,} messages removed")

    async def _in_all(self, work: Callable[[HistoryStore], Awaitable[int]]) -> int:
        """Remove messages from all stores. Return the largest number of messages removed from one store."""
        removed = 0
        for look, store in zip(self._stores(), self._stores(read_only=False), strict=True):
            with suppress(StoreMissingError):
                await look.open()
                await look.close()
                async with store:
                    removed = max(removed, await work(store))
        return removed

    def _retention(self, days: float | None, most: int | None, each: int | None) -> Retention:
        if days is not None or most is not None or each is not None:
            age = None if days is None else days * _DAY
            return checked(lambda: Retention(max_age=age, max_messages=most, max_per_conversation=each))
        found = retention_of(self._manifest.storage) if self._manifest.storage is not None else None
        if found is None:
            fail(
                "the manifest says nothing under 'retention'; say what to keep with --days, --most, --per-conversation"
            )
        return found

    async def _export(self, store: HistoryStore, form: str) -> None:
        text, before, between, last, empty = FORMATS[form]
        is_empty = True
        query = msgspec.structs.replace(self._query, limit=_PAGE, newest_first=False)
        while page := await store.query(query):
            for message in page:
                write(before + text(message), end="")
                before, is_empty = between, False
            query = msgspec.structs.replace(query, after=page[-1].seq)
        write(empty if is_empty else last, end="")

    def _ask(self, question: Callable[[HistoryStore], Awaitable[T]]) -> T:
        """Ask the first store that can be opened.

        Raises:
            StorageError: no store can be opened, or the store cannot answer.
        """
        return asyncio.run(self._first(question))

    async def _first(self, question: Callable[[HistoryStore], Awaitable[T]]) -> T:
        *others, last = self._stores()
        for store in others:
            try:
                await store.open()
            except StoreMissingError:
                continue
            except StorageError as error:
                to_stderr(f"understage: {error}; the next store is asked")
                continue
            async with store:
                return await question(store)
        try:
            await last.open()
        except StoreMissingError:
            last = MemoryHistoryStore()
        async with last:
            return await question(last)

    def _stores(self, *, read_only: bool = True) -> list[HistoryStore]:
        """Return the stores that outlive a process."""
        stores = history_stores(self._manifest, read_only=read_only)
        if not stores:
            fail("the manifest keeps no messages: 'log_messages' is false")
        lasting = [store for store in stores if not isinstance(store, MemoryHistoryStore)]
        if not lasting:
            fail("the manifest keeps messages in memory only, which ends with each process; add a 'sqlite' store")
        return lasting


def checked(make: Callable[[], T]) -> T:
    """Return the value that `make` makes.

    Raises:
        CommandError: `make` refused its values.
    """
    try:
        return make()
    except ValueError as error:
        raise CommandError(str(error)) from error


def _line(message: StoredMessage) -> str:
    arrow = "->" if message.role == "assistant" else "<-"
    content = "\n    ".join(message.content.splitlines())  # no line of it looks like another message
    return f"{moment(message.created)} {one_line(message.node)} {arrow} {content}"


def _row(stats: HistoryStats) -> tuple[str, ...]:
    cost = f"{stats.cost:.4f}{'' if stats.cost_known else '+'}"
    return (stats.key, f"{stats.messages:,}", f"{stats.tokens:,}", cost, moment(stats.last))


def moment(seconds: float | None) -> str:
    """Return seconds since 1970 UTC as text; empty for None.

    Example:
        >>> moment(0.0)
        '1970-01-01 00:00:00+00:00'
    """
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")


def moment_of(text: str, option: str, *, now: float) -> float:
    """Return a point in time, in seconds since 1970 UTC.

    Args:
        text: a date with or without a time (UTC without a zone), or an age: hours as a number, 7d, 90m.
        option: name of the option.
        now: seconds since 1970 UTC.

    Raises:
        CommandError: the text is neither.
    """
    try:
        return max(0.0, now - parse_duration(text, unit=_HOUR))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        fail(
            f"{option} must be a date such as 2026-01-31 or 2026-01-31T12:00, or how long ago: hours as a number, "
            f"7d, 90m; not {text!r:.80}"
        )


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
    return _csv_line([_cell(fields[name]) for name in COLUMNS])


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _csv_line(cells: Any) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerow(cells)
    return text.getvalue()


FORMATS: Final[Mapping[str, Export]] = {
    "jsonl": Export(_json_line),
    "json": Export(document, first="[\n", between=",\n", last="\n]\n", empty="[]\n"),
    "csv": Export(_csv, first=_csv_line(COLUMNS), empty=_csv_line(COLUMNS)),
}
"""The formats by name."""
