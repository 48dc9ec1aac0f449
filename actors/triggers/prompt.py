"""From an event to the prompt of a run: the template of the configuration, metadata and time."""

from __future__ import annotations

from typing import Final, Protocol

from actors.config.template import PROMPT_PLACES, check_template, render_template
from protocols.triggers import TriggerEvent, printable

_LONGEST_VALUE: Final = 1_000
"""Characters of one value of the metadata."""


class PromptStyle(Protocol):
    """The settings that decide what the prompt of a trigger looks like; each trigger of a manifest has them."""

    @property
    def name(self) -> str:
        """Name of the trigger."""
        ...

    @property
    def template(self) -> str | None:
        """Text with `PROMPT_PLACES`; None for the event's own text, with time and metadata in front if wanted."""
        ...

    @property
    def include_metadata(self) -> bool:
        """Whether metadata is part of the prompt."""
        ...

    @property
    def include_timestamp(self) -> bool:
        """Whether the time is part of the prompt."""
        ...


def format_prompt(event: TriggerEvent, style: PromptStyle) -> str:
    """Return the prompt of a run.

    With a template, `{metadata}` and `{timestamp}` are empty where they are not included; values are inserted as they
    are and never looked into again. Without one they are lines in front of the event's own text.

    Example:
        >>> from actors.config.trigger import FileTrigger
        >>> from protocols.triggers import FileChange, FileChanged
        >>> style = FileTrigger(type="file", name="notes", paths=("*.md",), include_timestamp=False)
        >>> event = FileChanged(source="notes", time=0.0, root="/x", changes=(FileChange("added", "a.md"),))
        >>> format_prompt(event, style)
        'File added: a.md'
    """
    time = event.timestamp.isoformat(timespec="seconds") if style.include_timestamp else ""
    facts = _listed(event) if style.include_metadata else ""
    if style.template is not None:
        values = {
            "prompt": event.to_prompt(), "name": style.name, "source": event.source, "timestamp": time,
            "metadata": facts, "type": str(event.__struct_config__.tag or ""),
        }  # fmt: skip
        return render_template(style.template, values)
    head = [line for line in (f"Time: {time}" if time else "", f"Metadata: {facts}" if facts else "") if line]
    return "\n".join([*head, event.to_prompt()])


def check_prompt_template(template: str | None) -> None:
    """Check a template that does not come from a manifest.

    Raises:
        ValueError: It has an unknown place.
    """
    if template is not None:
        check_template(template, PROMPT_PLACES)


def _listed(event: TriggerEvent) -> str:
    return ", ".join(f"{key}={printable(str(value))[:_LONGEST_VALUE]}" for key, value in event.metadata.items())
