"""Conversations of a pool, from its storage: a list with search, and transcripts with the calls of tools."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from actors.app.history_service import HistoryService
from actors.dashboard.feed_table import SHORT, name_of, shown
from actors.pool.pool import AgentPool
from protocols.errors import UnderstageError
from protocols.history import HistoryQuery, StoredMessage
from protocols.stores import HistoryStore, StorageError

MOST_LISTED: Final = 200
"""Conversations of one answer."""
MOST_SEARCHED: Final = 1_000
"""Latest conversations, or messages that contain a text, that are looked through."""
MOST_MESSAGES: Final = 500
"""Latest messages of a transcript."""
MOST_TEXT: Final = 20_000
"""Characters of one message that are shown."""
FLUSH_PATIENCE: Final = 1.0
"""Seconds that an answer waits for messages that are still to be written."""

Answer = Callable[[Request], Awaitable[dict[str, Any]]]


class Conversations:
    """Reads the storage of one pool."""

    def __init__(self, pool: AgentPool[Any]) -> None:
        self._pool = pool

    def routes(self) -> list[Route]:
        """Return the routes of the conversations."""
        return [
            Route("/api/conversations", _answering(self._list), methods=["GET"]),
            Route("/api/conversations/{id:path}", _answering(self._transcript), methods=["GET"]),
        ]

    async def _list(self, request: Request) -> dict[str, Any]:
        store = await self._store()
        given = request.query_params
        limit = min(int(given.get("limit") or 50), MOST_LISTED)
        before = float(given.get("before") or "inf")
        if limit < 1 or before != before:  # noqa: PLR0124 - not a number
            raise ValueError("limit must be a whole number > 0, and before a number of seconds")
        found: list[dict[str, Any]] = []
        if store is not None:
            async for row in _rows(store, given.get("query", "").strip()):
                if row["at"] < before:
                    found.append(row)
                if len(found) > limit:
                    break
        return {"conversations": found[:limit], "more": len(found) > limit}

    async def _transcript(self, request: Request) -> dict[str, Any]:
        store, conversation = await self._store(), request.path_params["id"]
        said = [] if store is None else await store.conversation(conversation, limit=MOST_MESSAGES)
        if not said:
            raise LookupError(f"conversation {name_of(conversation)!r} is not in the storage of the pool")
        return {"id": name_of(conversation, 255), "messages": [_message(one) for one in said]}

    async def _store(self) -> HistoryStore | None:
        history = self._pool.service(HistoryService)
        if history is None or history.store is None:
            return None
        with suppress(UnderstageError):  # what cannot be written now is not there to read
            await history.flush(FLUSH_PATIENCE)
        return history.store


def _answering(read: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(await read(request))
        except LookupError as error:
            return JSONResponse({"error": error.args[0]}, 404)
        except ValueError as error:
            return JSONResponse({"error": shown(str(error))}, 400)
        except StorageError as error:
            return JSONResponse({"error": shown(str(error))}, 503)

    return answer


async def _rows(store: HistoryStore, query: str) -> AsyncGenerator[dict[str, Any]]:
    """Yield conversations, the latest first; with a text only those that contain it."""
    ids: Iterable[str]
    if query:
        ids = [one.conversation_id for one in await store.query(HistoryQuery(text=query, limit=MOST_SEARCHED))]
    else:
        ids = [one.conversation_id for one in await store.conversations(limit=MOST_SEARCHED)]
    for conversation in dict.fromkeys(ids):
        about = HistoryQuery(conversation=conversation, limit=1, newest_first=False)
        first, numbers = await store.query(about), await store.stats(about)
        if first:
            yield {
                "id": name_of(conversation, 255), "at": numbers[0].last or first[0].created,
                "node": name_of(first[0].node), "title": shown(" ".join(first[0].content[: 2 * SHORT].split()), SHORT),
                "messages": numbers[0].messages, "cost": f"{numbers[0].cost:f}",
            }  # fmt: skip


def _message(said: StoredMessage) -> dict[str, Any]:
    return {
        "at": said.created, "node": name_of(said.node), "role": said.role, "text": shown(said.content, MOST_TEXT),
        "tool_calls": list(_calls(said.payload)), "model": name_of(said.model or ""),
        "input_tokens": said.input_tokens, "output_tokens": said.output_tokens,
        "cost": "0" if said.cost is None else f"{said.cost:f}",
    }  # fmt: skip


def _calls(payload: bytes | None) -> Iterable[dict[str, Any]]:
    """Return the calls of tools in the messages of the model of a run."""
    try:
        messages: Any = msgspec.json.decode(payload or b"[]")
        parts = [part for message in messages for part in message["parts"]]
    except (msgspec.DecodeError, KeyError, TypeError):
        return ()
    calls: dict[str, dict[str, Any]] = {}
    for part in parts:
        kind, key = part.get("part_kind"), str(part.get("tool_call_id"))
        if kind == "tool-call":
            name, given = name_of(str(part.get("tool_name"))), _text(part.get("args"))
            calls[key] = {"name": name, "arguments": given, "result": "", "error": ""}
        elif kind in {"tool-return", "retry-prompt"} and key in calls:
            calls[key]["result" if kind == "tool-return" else "error"] = _text(part.get("content"))
    return calls.values()


def _text(value: Any) -> str:
    return shown(value if isinstance(value, str) else msgspec.json.encode(value).decode())
