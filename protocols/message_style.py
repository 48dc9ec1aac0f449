"""How a message is rendered as text: simple, detailed, markdown, or by a template of the user.

Templates are plain text with named fields. They cannot reach attributes, call anything or loop, so a template
from a manifest is safe to use.
"""

import string
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from protocols.cost import TokenCost

MessageStyle = Literal["simple", "detailed", "markdown", "custom"]
"""The styles `ChatMessage.format` knows."""

FIELDS = (
    "content",
    "name",
    "role",
    "timestamp",
    "time",
    "model",
    "message_id",
    "conversation_id",
    "forwarded_from",
    "cost",
    "tokens",
    "response_time",
    "metadata",
)
"""Fields a custom template may name; all are text."""


class Renderable(Protocol):
    """What rendering needs to know of a message."""

    @property
    def text(self) -> str:
        """Content as text."""
        ...

    @property
    def role(self) -> str:
        """Perspective."""
        ...

    @property
    def name(self) -> str | None:
        """Sender."""
        ...

    @property
    def timestamp(self) -> datetime:
        """When the message was made."""
        ...

    @property
    def message_id(self) -> str:
        """Identifier."""
        ...

    @property
    def conversation_id(self) -> str | None:
        """Flow the message belongs to."""
        ...

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Free data."""
        ...

    @property
    def model_name(self) -> str | None:
        """Model that wrote it."""
        ...

    @property
    def cost_info(self) -> TokenCost | None:
        """Tokens and money."""
        ...

    @property
    def response_time(self) -> float | None:
        """Seconds the answer took."""
        ...

    @property
    def forwarded_from(self) -> Sequence[str]:
        """Nodes that led here."""
        ...


def render(
    message: Renderable,
    style: str,
    *,
    template: str | None,
    variables: Mapping[str, object] | None,
    show_metadata: bool,
    show_costs: bool,
) -> str:
    """Render *message* in *style*; ValueError for an unknown style or an unusable template."""
    if style == "custom":
        return _custom(message, template, variables or {})
    if style == "simple":
        return _simple(message)
    if style in _LAYOUTS:
        extras = [*(_costs(message) if show_costs else ()), *(_metadata(message) if show_metadata else ())]
        return _LAYOUTS[style](message, extras)
    msg = f"unknown message style {style!r}; choose simple, detailed, markdown or custom"
    raise ValueError(msg)


def _sender(message: Renderable) -> str:
    return message.name or message.role


def _simple(message: Renderable) -> str:
    return f"{_sender(message)}: {message.text}"


def _detailed(message: Renderable, extras: Sequence[tuple[str, str]]) -> str:
    facts = [("from", _sender(message)), ("role", message.role), ("time", _clock(message)), *_origin(message)]
    return "\n".join([*(f"{label}: {value}" for label, value in [*facts, *extras]), "", message.text])


def _markdown(message: Renderable, extras: Sequence[tuple[str, str]]) -> str:
    lines = [f"## {_sender(message)}", f"*{message.role}, {_clock(message)}*", "", message.text]
    facts = [*_origin(message), *extras]
    if facts:
        lines += ["", *(f"- **{label}**: {value}" for label, value in facts)]
    return "\n".join(lines)


_LAYOUTS: Mapping[str, Callable[[Renderable, Sequence[tuple[str, str]]], str]] = {
    "detailed": _detailed,
    "markdown": _markdown,
}


def _clock(message: Renderable) -> str:
    return message.timestamp.strftime("%Y-%m-%d %H:%M:%S")


def _origin(message: Renderable) -> list[tuple[str, str]]:
    facts = [("model", message.model_name)] if message.model_name else []
    return [*facts, ("via", " > ".join(message.forwarded_from))] if message.forwarded_from else facts


def _metadata(message: Renderable) -> list[tuple[str, str]]:
    return [(key, str(value)) for key, value in message.metadata.items()]


def _costs(message: Renderable) -> list[tuple[str, str]]:
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


def _custom(message: Renderable, template: str | None, variables: Mapping[str, object]) -> str:
    if template is None:
        msg = "message style 'custom' needs a template; pass template='{name}: {content}'"
        raise ValueError(msg)
    values: dict[str, object] = {**_values(message), **{key: str(value) for key, value in variables.items()}}
    try:
        if _uses_dollars(template):
            return string.Template(template).substitute(values)
        return _FieldFormatter().vformat(template, (), values)
    except KeyError as error:
        known = ", ".join(values)
        msg = f"message template {template!r} names the unknown field {error.args[0]!r}; known are {known}"
        raise ValueError(msg) from None
    except (ValueError, IndexError) as error:
        msg = f"message template {template!r} cannot be used: {error}"
        raise ValueError(msg) from error


def _values(message: Renderable) -> dict[str, str]:
    cost = message.cost_info
    values = (
        message.text,
        _sender(message),
        message.role,
        message.timestamp.isoformat(),
        message.timestamp.strftime("%H:%M:%S"),
        message.model_name or "",
        message.message_id,
        message.conversation_id or "",
        " > ".join(message.forwarded_from),
        _money(cost) if cost is not None else "",
        str(cost.token_usage.total_tokens) if cost is not None else "0",
        f"{message.response_time:.2f}" if message.response_time is not None else "",
        ", ".join(f"{key}={value}" for key, value in message.metadata.items()),
    )
    return dict(zip(FIELDS, values, strict=True))


def _uses_dollars(template: str) -> bool:
    return "$" in template and "{" not in template.replace("${", "")


class _FieldFormatter(string.Formatter):
    """Formatter that knows plain fields only: str.format would let a template walk through attributes."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if not field_name.isidentifier():
            msg = f"{field_name!r} is not a plain field name"
            raise ValueError(msg)
        return self.get_value(field_name, args, kwargs), field_name
