"""Runs and answers as bytes of a journal: version, checksum, and a record in msgpack. Nothing is kept by import path.

`docs/durable-mailboxes.md` says what is kept of a prompt, and how.
"""

import json
import struct
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from pathlib import PurePath
from typing import Any, Final, cast
from zlib import crc32

import msgspec
from msgspec import Struct, to_builtins
from msgspec.structs import astuple, replace
from pydantic_ai.messages import ModelRequest, UserPromptPart, is_multi_modal_content
from pydantic_ai.usage import UsageLimits

from actors.agents.memory import dump_messages, load_messages
from actors.prompts.content import load_user_content
from actors.runs.request import NO_OPTIONS, Runnable, RunOptions, RunRequest
from protocols.budget import Budget
from protocols.delivery_tracker import DeliveryTracker
from protocols.errors import UnderstageError, error_text, type_name
from protocols.journal import NotDurableError
from protocols.json_value import as_json
from protocols.messages import ChatMessage, is_message
from protocols.plain_text import size_text

RUN_KIND: Final = "run1"
"""The kind of an `Entry` whose payload is a run."""
ASK_KIND: Final = "ask1"
"""The same of a run whose caller may wait at another host of the cluster, and gets its failure."""
CONTEXT_KIND: Final = "context1"
"""The kind of an `Entry` whose payload is a run with a text of `add_context` in place of a prompt."""
FORGET_KIND: Final = "forget1"
"""The kind of an `Entry` whose payload is the name of a session that the node is to forget, wherever it lives."""
MAX_MESSAGE: Final = 1024 * 1024
"""Bytes of a kept run, unless the journal allows more."""
MAX_ANSWER: Final = 256 * 1024
"""Bytes of a kept answer. A larger one is in the history only."""

_pack: Final = msgspec.msgpack.encode
_WAY: Final = "pass durable=False to run it in memory"
_VERSION: Final = 1
_HEAD: Final = 5
_seal: Final = struct.Struct(">BI").pack
_MAX_DEPTH: Final = 32

_KEPT: Final[dict[str, Any]] = {
    "model": str, "store_history": bool, "usage_limits": UsageLimits, "budget": Budget, "timeout": float | None,
    "message_history": bytes, "session": str, "fresh": bool, "conversation_id": str, "message_id": str,
    "instructions": str | list[str], "include_agent_tools": bool, "model_settings": bytes, "metadata": bytes,
    "wait_for_connections": bool, "require_all": bool,
}  # fmt: skip
"""The options that are kept, and what each is in a record. Bytes are JSON."""
_APART: Final = ("content", "messages", "associated_messages")
_FIELDS: Final = [None if name in _APART else name for name in ChatMessage.__struct_fields__]
_PLAIN: Final = frozenset((str, float, datetime))
_DEFAULTS: Final = {name: getattr(NO_OPTIONS, name) for name in RunOptions.__struct_fields__}


class UndecodableError(UnderstageError, ValueError):
    """Bytes of a journal are no run or answer that this version can read."""


class JsonRecord(Struct, frozen=True, tag="json"):
    """Data by its value; a picture or another medium as a message with that prompt."""

    json: bytes
    is_media: bool = False


class MessageRecord(Struct, frozen=True, tag="message"):
    """A `ChatMessage`: its content, the messages of its model, its members, and JSON of its other fields."""

    content: "str | list[Any] | JsonRecord | MessageRecord"
    messages: bytes
    members: "tuple[MessageRecord, ...]"
    fields: bytes


_Kept = str | list[Any] | JsonRecord | MessageRecord


class MissingRecord(Struct, frozen=True, tag="missing"):
    """Stands for an answer that is not kept."""

    message_id: str
    why: str


class RunRecord(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A `RunRequest` as it is kept, without the objects of its process."""

    node: str
    prompts: tuple[_Kept, ...]
    run_id: str
    conversation_id: str
    parent_run_id: str
    hops: int
    options: dict[str, Any]
    traceparent: str = ""


class ChainRecord(RunRecord, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A run for which nodes wait at other hosts. A run of one process has the same bytes as in earlier versions."""

    chain: tuple[str, ...] = ()


def needs_reading(request: RunRequest) -> bool:
    """Return True if a run has prompts that are read when it is accepted, see `readable`."""
    return not _is_text(request) and any(_is_unread(prompt, 0) for prompt in request.prompts)


def _is_text(request: RunRequest) -> bool:
    """Return True for a run of one text, as most are: a look at all prompts costs more than its bytes."""
    return len(request.prompts) == 1 and type(request.prompts[0]) is str


def _is_unread(value: object, depth: int) -> bool:
    given: object = value.content if is_message(value) else value
    if isinstance(given, list | tuple):
        items = cast("Sequence[object]", given)
        return depth > _MAX_DEPTH or any(_is_unread(item, depth + 1) for item in items)
    kind: type[object] = type(given)
    return issubclass(kind, PurePath | bytes | bytearray | memoryview) or hasattr(kind, "__prompt__")


async def readable(request: RunRequest) -> RunRequest:
    """Return a run whose files are read, and whose objects with `__prompt__` are their text; both may change later.

    Raises:
        PromptError: a file cannot be used, or bytes have no media type.
    """
    if not needs_reading(request):
        return request
    first = request.prompts[0]
    content: Any = await load_user_content(request.prompts)
    if len(request.prompts) == 1 and is_message(first):
        content = replace(first, content=content)
    return replace(request, prompts=(content,))


def encode_run(request: RunRequest, max_message: int = MAX_MESSAGE, way: str = _WAY) -> bytes:
    """Return a run as the payload of an `Entry`. Its files are read already, see `readable`.

    Args:
        request: the run.
        max_message: most bytes.
        way: what an error says at its end.

    Raises:
        NotDurableError: a prompt or an option cannot be kept, the run is streamed, or it is too large.
    """
    node = request.node.name
    try:
        data = _encoded(request, node)
    except _Refused as error:
        raise NotDurableError(f"node {node!r}: {error}; {way}", node=node) from error.__cause__
    if len(data) > max_message:
        text = f"the run has {size_text(len(data))}, and a journal keeps at most {size_text(max_message)} (max_message)"
        raise NotDurableError(f"node {node!r}: {text}; {way}", node=node)
    return data


def _encoded(request: RunRequest, node: str) -> bytes:
    if request.sink is not None or request.follower is not None:
        raise _Refused("a streamed run cannot be kept, as its reader ends with the process")
    if request.route is not None:
        raise _Refused("a stage of a chain is not kept by itself, but with its chain")
    options = {} if request.options is NO_OPTIONS else _plain_options(request.options)
    try:
        prompts = request.prompts if _is_text(request) else tuple(_kept(_bare(prompt)) for prompt in request.prompts)
        ids = request.run_id, request.conversation_id, request.parent_run_id
        fields = (node, prompts, *ids, request.hops, options, request.traceparent)
        return sealed(_pack(ChainRecord(*fields, request.chain) if request.chain else RunRecord(*fields)))
    except Exception as error:  # of msgspec, pydantic, or the user's type
        raise _Refused(f"the prompt cannot be kept: {error_text(error)}") from error


def decode_run(payload: bytes, node: Runnable) -> RunRequest:
    """Return the run of a payload, for a node.

    Raises:
        UndecodableError: the payload is damaged, or a newer version has written it.
    """
    try:
        record = msgspec.msgpack.decode(opened(payload), type=ChainRecord)
        options = RunOptions(**{name: _option(name, value) for name, value in record.options.items()})
        prompts = tuple(map(_restored, record.prompts))
    except Exception as error:
        raise UndecodableError(f"node {node.name!r}: a kept run cannot be read: {_why(error)}") from None
    ids = record.run_id, record.conversation_id
    run_options, trace = options if record.options else NO_OPTIONS, record.traceparent
    more = record.parent_run_id, record.hops
    return RunRequest(node, prompts, *ids, DeliveryTracker(), run_options, *more, traceparent=trace, chain=record.chain)


def by_value(request: RunRequest, payload: bytes) -> RunRequest:
    """Return a run with the prompts of its payload: each delivery, also that of a later process, has the same."""
    if _is_text(request) or all(type(prompt) is str for prompt in request.prompts):
        return request
    return replace(request, prompts=decode_run(payload, request.node).prompts)


def encode_answer(answer: object, most: int = MAX_ANSWER) -> bytes:
    """Return an answer as bytes. One that JSON cannot hold or that is too large leaves only its id.

    What a plain actor answers is kept if JSON gives back the same.
    """
    try:
        data = sealed(_pack(_message_record(answer) if is_message(answer) else _unchanged(answer)))
        if len(data) <= most:
            return data
        why = f"it has {len(data):,} bytes, and a journal keeps at most {most:,}"
    except Exception as error:  # of msgspec, pydantic, or the user's type
        why = error_text(error).encode("utf-8", "replace").decode()
    message_id = answer.message_id if is_message(answer) else ""
    return sealed(_pack(MissingRecord(message_id, why)))


def returns_equal(message: ChatMessage[Any]) -> bool:
    """Return True if the content of an answer and of its members comes back as it is, which typed data does not."""
    content: Any = message.content
    try:
        is_equal = isinstance(content, str) or _restored(_kept(content)) == content
    except Exception:  # of msgspec, pydantic, or the user's type
        return False
    return is_equal and all(map(returns_equal, message.associated_messages))


def decode_answer(data: bytes) -> Any:
    """Return the answer that `encode_answer` was given.

    Raises:
        UndecodableError: the answer was not kept, the data is damaged, or a newer version has written it.
    """
    try:
        record: Any = msgspec.msgpack.decode(opened(data), type=MessageRecord | JsonRecord | MissingRecord)
        if not isinstance(record, MissingRecord):
            return _restored(record)
    except Exception as error:
        raise UndecodableError(f"a kept answer cannot be read: {_why(error)}") from None
    text = f"the answer {record.message_id!r} is not in the journal: {record.why}"
    raise UndecodableError(f"{text}; read it in the history of messages" if record.message_id else text)


class _Refused(Exception):  # noqa: N818 - never leaves this file
    pass


def sealed(body: bytes) -> bytes:
    """Return bytes with a version and a checksum in front."""
    return _seal(_VERSION, crc32(body)) + body


def opened(data: bytes) -> bytes:
    """Return what `sealed` was given. Raises UndecodableError for anything else."""
    if data[:1] != bytes((_VERSION,)):
        raise UndecodableError(f"it has version {data[0]}, not {_VERSION}" if data else "it is empty")
    body = data[_HEAD:]
    if crc32(body).to_bytes(4, "big") != data[1:_HEAD]:
        raise UndecodableError("its bytes are damaged")
    return body


def _why(error: Exception) -> str:
    """Return what is wrong without any content: errors of pydantic quote what they cannot read."""
    return str(error) if isinstance(error, UndecodableError | msgspec.MsgspecError) else type_name(error)


def _plain_options(options: RunOptions) -> dict[str, Any]:
    given = {name: getattr(options, name) for name in _DEFAULTS}
    kept: dict[str, Any] = {}
    for name, value in given.items():
        try:
            if value is not _DEFAULTS[name]:
                kept[name] = _plain_option(name, value)
        except Exception as error:  # of msgspec, pydantic, or the user's type
            raise _Refused(f"the option {name} cannot be kept: {error_text(error)}") from error
    return kept


def _plain_option(name: str, value: Any) -> Any:
    if name not in _KEPT:
        raise TypeError(f"a value of type {type_name(value)} belongs to this process")
    if name == "message_history":
        return dump_messages(value or ())
    plain = _json(value) if _KEPT[name] is bytes else to_builtins(value)
    msgspec.convert(plain, _KEPT[name])
    if name == "model_settings" and json.loads(plain) != value:
        raise TypeError("JSON would change it")
    return plain


def _option(name: str, value: Any) -> Any:
    if name not in _KEPT:
        raise UndecodableError(f"it has the option {name!r}, which this version does not know")
    made: Any = msgspec.convert(value, _KEPT[name])
    if _KEPT[name] is bytes:
        return load_messages(made) if name == "message_history" else json.loads(made)
    if isinstance(value, dict) and not value.keys() <= cast("dict[str, Any]", to_builtins(made)).keys():
        raise UndecodableError(f"its option {name!r} has fields that this version does not know")
    return made


def _bare(prompt: object) -> object:
    """Return a prompt without what no run reads of it: a run forwards a message without its cost and its calls."""
    is_sent = is_message(prompt) and prompt.name is not None
    return replace(cast("Struct", prompt), messages=(), tool_calls=()) if is_sent else prompt


def _kept(value: object) -> _Kept:
    if isinstance(value, str):
        return value
    if is_message(value):
        return _message_record(value)
    if isinstance(value, list | tuple):
        return [_kept(item) for item in cast("Sequence[object]", value)]
    if is_multi_modal_content(value):
        return JsonRecord(dump_messages([ModelRequest([UserPromptPart([value])])]), is_media=True)
    return JsonRecord(_json(value))


def _restored(kept: _Kept) -> Any:
    match kept:
        case str():
            return kept
        case list():
            return [_restored(msgspec.convert(item, _Kept)) for item in kept]
        case JsonRecord(data, is_media):
            return cast("Any", load_messages(data)[0].parts[0]).content[0] if is_media else json.loads(data)
        case MessageRecord():
            return _message(kept)


def _json(value: object) -> bytes:
    """Return a value as JSON. Raises TypeError for one that JSON cannot hold."""
    return json.dumps(to_builtins(value, str_keys=True, enc_hook=_plain), separators=(",", ":")).encode()


def _unchanged(value: object) -> JsonRecord:
    record = JsonRecord(_json(value))
    if json.loads(record.json) != value:
        raise TypeError("JSON would change it")
    return record


def _plain(value: object) -> object:
    given: Any = value
    if hasattr(type(value), "model_dump"):
        return given.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    if isinstance(value, Set | Sequence):
        return list(cast("Sequence[object]", value))
    raise TypeError(f"JSON cannot hold a value of class {type_name(value)!r}")


def _message_record(message: ChatMessage[Any]) -> MessageRecord:
    """Return the record of a message. Free data that JSON cannot hold becomes its text, as in `to_dict`."""
    fields: dict[str, Any] = {}
    is_plain = True
    for name, value in zip(_FIELDS, astuple(message), strict=True):
        if value is None or name is None:
            continue
        if type(value) in _PLAIN:
            fields[name] = value
        elif value not in ((), {}):
            fields[name], is_plain = as_json(value), False
    written = msgspec.json.encode(fields) if is_plain else _json(fields)  # 2 us in place of 9
    members = tuple(map(_message_record, message.associated_messages)) if message.associated_messages else ()
    messages = dump_messages(message.messages) if message.messages else b"[]"
    return MessageRecord(_kept(message.content), messages, members, written)


def _message(record: MessageRecord) -> ChatMessage[Any]:
    made = msgspec.convert({**json.loads(record.fields), "content": None}, ChatMessage[Any])
    messages = tuple(load_messages(record.messages)) if record.messages != b"[]" else ()
    members = tuple(map(_message, record.members))
    return replace(made, content=_restored(record.content), messages=messages, associated_messages=members)
