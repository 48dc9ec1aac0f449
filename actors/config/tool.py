"""Tools that an agent may call: functions, and other nodes."""

from collections.abc import Mapping
from typing import ClassVar

from actors.config.duration import PositiveSeconds
from actors.config.import_path import ImportText
from actors.config.reference import NodeName
from actors.config.section import Section
from actors.config.value import Count, Flag, Name, Text


class ToolSpec(Section):
    """A function as a tool, or an object with several; a plain text is its import string."""

    shorthand = "import_path"
    spellings: ClassVar[Mapping[str, str]] = {"import": "import_path", "callable": "import_path"}

    import_path: ImportText
    """Import string."""
    name: Name | None = None
    """Name shown to the model; the function's own by default."""
    description: Text | None = None
    """Description shown to the model; the function's docstring by default."""
    requires_confirmation: Flag = False
    """Ask a person before each call."""
    retries: Count | None = None
    """How often the model may try again after an error."""
    timeout: PositiveSeconds | None = None
    """How long one call may take, in seconds."""


class WorkerSpec(Section):
    """Another node as a tool; a plain text is its name."""

    shorthand = "node"
    spellings: ClassVar[Mapping[str, str]] = {"agent": "node"}

    node: NodeName
    """The agent or team."""
    name: Name | None = None
    """Name shown to the model; `ask_<node>` by default."""
    description: Text | None = None
    """Description shown to the model; the node's own by default."""
    reset_history_on_run: Flag = True
    """Whether each call begins without history."""
    pass_message_history: Flag = False
    """Whether the caller's history is handed over."""
