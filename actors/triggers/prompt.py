"""From an event to the prompt of a run: the template of the settings, metadata and time."""

from collections.abc import Mapping
from typing import Any, Final, cast

from actors.config.template import places, render_template
from actors.config.trigger import TriggerSpec
from protocols.checks import is_a
from protocols.plain_text import printable
from protocols.session import SESSION
from protocols.triggers import TriggerError, TriggerEvent

_LONGEST_VALUE: Final = 1_000
"""Characters of one value of the metadata."""


def format_prompt(event: TriggerEvent, style: TriggerSpec, text: str = "") -> str:
    """Return the prompt of a run; `text` is what the files of the event hold.

    In a template, `{metadata}` and `{timestamp}` are empty unless the settings include them. Values are inserted as
    they are and never read as a template. Without a template, time and metadata are lines before the event's own text.

    Example:
        >>> from actors.config.trigger import FileTrigger
        >>> from protocols.triggers import FileChange, FileChanged
        >>> style = FileTrigger(type="file", name="notes", paths=("*.md",), include_timestamp=False)
        >>> event = FileChanged(source="notes", time=0.0, root="/x", changes=(FileChange("added", "a.md"),))
        >>> format_prompt(event, style)
        'File added: a.md'
    """
    time = event.timestamp.isoformat(timespec="seconds") if style.include_timestamp else ""
    shown = {key: printable(str(value))[:_LONGEST_VALUE] for key, value in event.metadata.items()}
    facts = ", ".join(f"{key}={value}" for key, value in shown.items()) if style.include_metadata else ""
    if style.template is not None:
        values = {
            "prompt": event.to_prompt(), "name": style.name, "source": event.source, "timestamp": time,
            "metadata": facts, "text": text, "type": str(event.__struct_config__.tag or ""),
        }  # fmt: skip
        return render_template(style.template, values)
    head = [line for line in (f"Time: {time}" if time else "", f"Metadata: {facts}" if facts else "") if line]
    return "\n".join([*head, event.to_prompt()])


def session_of(event: TriggerEvent, style: TriggerSpec) -> str | None:
    """Return the session of a run; None if the trigger names none.

    Raises:
        TriggerError: the event lacks a part of the name, without which two people might have one session; or the name
            cannot be one.
    """
    if style.session is None:
        return None
    payload: Any = getattr(event, "payload", None)
    values: dict[str, object] = {f"metadata[{key}]": value for key, value in event.metadata.items()}
    if is_a(payload, Mapping):
        values |= {f"payload[{key}]": value for key, value in cast("Mapping[str, object]", payload).items()}
    values |= {"name": style.name, "source": event.source, "type": str(event.__struct_config__.tag or "")}
    given = {key: str(value) for key, value in values.items() if type(value) in (str, int)}
    if lacking := [f"{{{place}}}" for place in places(style.session) if not given.get(place, "").strip()]:
        raise TriggerError(
            f"trigger {style.name!r}: the event has no {' and no '.join(lacking)} to name its session by"
        )
    name = render_template(style.session, given)
    if not SESSION.accepts(name):
        raise TriggerError(f"trigger {style.name!r}: its session must be {SESSION.expected}, not {name[:200]!r}")
    return name
