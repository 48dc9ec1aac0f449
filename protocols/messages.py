"""The one message value that flows between nodes."""

import string
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from textwrap import indent
from typing import Any, Generic, Literal, TypeGuard, TypeVar, cast

import msgspec
from msgspec.structs import replace

from protocols.content_text import value_text
from protocols.cost import TokenCost, TokenUsage
from protocols.errors import limited_text
from protocols.ids import new_id
from protocols.json_value import JsonValue
from protocols.tool_call import ToolCallInfo

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

Role = Literal["user", "assistant", "system"]
"""Perspective of a message: asked, answered, or set by the system."""

MessageStyle = Literal["simple", "detailed", "markdown", "custom"]
"""The styles `ChatMessage.format` knows."""

_now = partial(datetime.now, UTC)


class ChatMessage(JsonValue, Generic[T_co], frozen=True):
    """One immutable message; nodes take it as input and give it as output.

    Two messages are equal when all their fields are; the hash is that of the id, so messages with any content
    can be put into sets.

    Example:
        >>> message = ChatMessage("hello", "assistant", name="greeter")
        >>> message.format()
        'greeter: hello'
    """

    content: T_co
    """The payload: text, a structured object, or (parallel team) a list with one item per member."""
    role: Role
    """Perspective: asked (user), answered (assistant) or set by the system."""
    name: str | None = None
    """Node that sent the message."""
    conversation_id: str | None = None
    """Flow of messages this one belongs to."""
    message_id: str = msgspec.field(default_factory=new_id)
    """Identifier of this message alone."""
    timestamp: datetime = msgspec.field(default_factory=_now)
    """When the message was made (UTC)."""
    metadata: Mapping[str, Any] = {}
    """Free JSON-like data; never change it in place."""
    cost_info: TokenCost | None = None
    """Tokens and money for exactly this message; None for messages of users and of teams."""
    response_time: float | None = None
    """Seconds the answer took; None for messages of users."""
    forwarded_from: tuple[str, ...] = ()
    """Names of the nodes that led here, oldest first."""
    associated_messages: tuple["ChatMessage[Any]", ...] = ()
    """Messages made on the way to this one (chain: one per node, in order; team: one per member, in member order)."""
    tool_calls: tuple[ToolCallInfo, ...] = ()
    """Calls of tools made for this message."""
    messages: tuple[Any, ...] = ()
    """Messages of the model behind this one, in the model library's own type."""
    model_name: str | None = None
    """Model that wrote the message."""
    provider_name: str | None = None
    """Provider that served the model."""
    provider_details: Mapping[str, Any] | None = None
    """What else the provider said."""
    provider_response_id: str | None = None
    """The provider's own identifier of the response."""
    finish_reason: str | None = None
    """Why the model stopped: stop, length, content_filter, tool_call or error."""

    def __repr__(self) -> str:
        """Return what it says and who says it, cut; `format` and `to_json` show the rest."""
        who = "" if self.name is None else f", name={self.name!r}"
        return f"ChatMessage({limited_text(repr, self.content, 80)}, {self.role!r}{who})"

    @staticmethod
    def user_prompt(message: U, conversation_id: str | None = None) -> "ChatMessage[U]":
        """Make a user's message; a fresh conversation when none is named."""
        return ChatMessage(message, "user", conversation_id=conversation_id or new_id())

    @property
    def data(self) -> T_co:
        """Same as `content`."""
        return self.content

    @property
    def output(self) -> T_co:
        """Same as `content`, by the name that it has in pydantic_ai."""
        return self.content

    @property
    def usage(self) -> TokenUsage:
        """Tokens this message used; zeros without cost data."""
        return self.cost_info.token_usage if self.cost_info is not None else TokenUsage()

    @property
    def model(self) -> str | None:
        """Same as `model_name`."""
        return self.model_name

    @property
    def provider_extra(self) -> Mapping[str, Any]:
        """Same as `provider_details`; empty when there are none."""
        return self.provider_details or {}

    @property
    def text(self) -> str:
        """The content as text for the next reader.

        Text stays as it is, and structured values become JSON. The answer of a team becomes blocks
        ``[name]: content`` separated by empty lines; the blocks of a team inside it are indented.
        """
        content: object = self.content
        return content if type(content) is str else _text_of(content, self)

    @property
    def byte_count(self) -> int:
        """Length of the content's text form in bytes of UTF-8."""
        content: object = self.content
        text = content if isinstance(content, str) else str(content)
        return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))

    def forwarded(self, previous: "ChatMessage[Any]") -> "ChatMessage[T_co]":
        """Return a copy whose chain is that of *previous* plus its sender."""
        chain = (*previous.forwarded_from, previous.name or "unknown")
        return replace(self, forwarded_from=chain)

    def to_request(self) -> "ChatMessage[T_co]":
        """Return a copy that asks: role user, without cost. A user's message is returned as it is."""
        if self.role == "user":
            return self
        return replace(self, role="user", cost_info=None)

    def to_dict(self, *, model_messages: bool = False) -> dict[str, Any]:
        """Return the fields as types of JSON. What JSON cannot hold becomes its text.

        Args:
            model_messages: True to include `messages`. They contain the instructions of the agent.
        """
        return super().to_dict() if model_messages else super(ChatMessage, replace(self, messages=())).to_dict()

    def get_tool_calls(self, tools: Container[str] | None = None, agent_name: str | None = None) -> list[ToolCallInfo]:
        """Return the calls of tools, optionally only of the named *tools* or of one agent."""
        return [
            call
            for call in self.tool_calls
            if (tools is None or call.tool_name in tools) and (agent_name is None or call.agent_name == agent_name)
        ]

    def format(
        self,
        style: MessageStyle = "simple",
        *,
        template: str | None = None,
        variables: Mapping[str, object] | None = None,
        show_metadata: bool = False,
        show_costs: bool = False,
    ) -> str:
        """Render the message as text.

        Args:
            style: simple (``name: text``), detailed (one fact per line), markdown, or custom (see *template*).
            template: for custom: a text with ``{field}`` or, without those, ``$field``. Fields are content, name, role,
                timestamp, time, model, message_id, conversation_id, forwarded_from, cost, tokens, response_time,
                metadata, and the *variables*; their attributes and indexes are refused.
            variables: further fields for the template.
            show_metadata: whether detailed and markdown list the metadata.
            show_costs: whether detailed and markdown show tokens, money and response time.

        Raises:
            ValueError: for an unknown style, for custom without a template and for a template that names an
                unknown field or is malformed.
        """
        if style == "custom":
            return _custom(self, template, variables or {})
        if style == "simple":
            return f"{_sender(self)}: {self.text}"
        layout = {"detailed": _detailed, "markdown": _markdown}.get(style)
        if layout is None:
            raise ValueError(f"unknown message style {style!r}; choose simple, detailed, markdown or custom")
        facts = [("model", self.model_name)] if self.model_name else []
        facts += [("via", " > ".join(self.forwarded_from))] if self.forwarded_from else []
        facts += _costs(self) if show_costs else []
        facts += [(key, str(value)) for key, value in self.metadata.items()] if show_metadata else []
        return layout(self, facts)

    def __hash__(self) -> int:
        return hash(self.message_id)

    def __str__(self) -> str:
        return self.text


def is_message(value: object) -> TypeGuard[ChatMessage[Any]]:
    """Return True for a message with any content."""
    return isinstance(value, ChatMessage)


def _text_of(content: object, message: ChatMessage[Any] | None) -> str:
    """Return a content as text; the message knows who said what."""
    if not isinstance(content, list | tuple):
        return content.text if is_message(content) else value_text(content)
    items = cast("Sequence[object]", content)
    speakers = _speakers(message, len(items)) if message is not None else ()
    if speakers:
        return "\n\n".join(_block(*speaker, item) for speaker, item in zip(speakers, items, strict=True))
    return value_text([item.text if is_message(item) else item for item in items])


def _block(name: str, message: ChatMessage[Any] | None, item: object) -> str:
    text = _text_of(item, message)
    is_nested = message is not None and isinstance(item, list | tuple) and _speakers(message, len(item))  # pyright: ignore[reportUnknownArgumentType]
    return f"[{name}]:\n{indent(text, '  ')}" if is_nested else f"[{name}]: {text}"


def _speakers(message: ChatMessage[Any], number: int) -> Sequence[tuple[str, ChatMessage[Any] | None]]:
    """Return who said each item of a content with so many items, and in which message; empty if that is unknown."""
    members = message.associated_messages
    if "execution_order" in message.metadata:  # a chain says what its last stage has said
        return _speakers(members[-1], number) if members else ()
    if len(members) == number:
        return [(member.name or "unknown", member) for member in members]
    names = cast("Sequence[str]", message.metadata.get("agent_names") or ())
    return [(name, None) for name in names] if len(names) == number else ()


def _sender(message: ChatMessage[Any]) -> str:
    return message.name or message.role


def _detailed(message: ChatMessage[Any], facts: Sequence[tuple[str, str]]) -> str:
    own = [("from", _sender(message)), ("role", message.role), ("time", f"{message.timestamp:%Y-%m-%d %H:%M:%S}")]
    return "\n".join([*(f"{label}: {value}" for label, value in [*own, *facts]), "", message.text])


def _markdown(message: ChatMessage[Any], facts: Sequence[tuple[str, str]]) -> str:
    heading = f"## {_sender(message)}\n*{message.role}, {message.timestamp:%Y-%m-%d %H:%M:%S}*"
    listed = "".join(f"\n- **{label}**: {value}" for label, value in facts)
    return f"{heading}\n\n{message.text}" + (f"\n{listed}" if listed else "")


def _costs(message: ChatMessage[Any]) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if message.cost_info is not None:
        usage = message.cost_info.token_usage
        detail = f"{usage.total_tokens} ({usage.input_tokens} in, {usage.output_tokens} out)"
        facts += [("tokens", detail), ("cost", _money(message.cost_info))]
    if message.response_time is not None:
        facts.append(("response time", f"{message.response_time:.2f} s"))
    return facts


def _money(cost: TokenCost) -> str:
    return f"${cost.total_cost:.6f}" if cost.cost_known else "unknown"


def _custom(message: ChatMessage[Any], template: str | None, variables: Mapping[str, object]) -> str:
    if template is None:
        raise ValueError("message style 'custom' needs a template; pass template='{name}: {content}'")
    values: dict[str, object] = {**_values(message), **{key: str(value) for key, value in variables.items()}}
    try:
        if "$" in template and "{" not in template.replace("${", ""):
            return string.Template(template).substitute(values)
        return _FieldFormatter().vformat(template, (), values)
    except KeyError as error:
        known = ", ".join(values)
        problem = f"message template {template!r} names the unknown field {error.args[0]!r}; known are {known}"
        raise ValueError(problem) from None
    except (ValueError, IndexError) as error:
        raise ValueError(f"message template {template!r} cannot be used: {error}") from error


def _values(message: ChatMessage[Any]) -> dict[str, str]:
    cost = message.cost_info
    return {
        "content": message.text,
        "name": _sender(message),
        "role": message.role,
        "timestamp": message.timestamp.isoformat(),
        "time": message.timestamp.strftime("%H:%M:%S"),
        "model": message.model_name or "",
        "message_id": message.message_id,
        "conversation_id": message.conversation_id or "",
        "forwarded_from": " > ".join(message.forwarded_from),
        "cost": _money(cost) if cost is not None else "",
        "tokens": str(cost.token_usage.total_tokens) if cost is not None else "0",
        "response_time": f"{message.response_time:.2f}" if message.response_time is not None else "",
        "metadata": ", ".join(f"{key}={value}" for key, value in message.metadata.items()),
    }


class _FieldFormatter(string.Formatter):
    """Formatter that knows plain fields only: str.format would let a template walk through attributes."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if not field_name.isidentifier():
            raise ValueError(f"{field_name!r} is not a plain field name")
        return self.get_value(field_name, args, kwargs), field_name
