"""Jobs: named tasks that any fitting node can do."""

from collections.abc import Iterator

from pydantic import Field

from actors.config.import_path import ImportText
from actors.config.knowledge import KnowledgeSpec
from actors.config.prompt import PromptSpec
from actors.config.reference import OutputName
from actors.config.section import Section
from actors.config.tool import ToolSpec
from actors.config.value import Flag, Name, Positive, Text


class JobSpec(Section):
    """One job."""

    name: Name
    """The job's key in the manifest; it need not be repeated."""
    description: Text | None = None
    """What it is for."""
    prompt: PromptSpec
    """What the node is asked to do."""
    required_return_type: OutputName = "builtins:str"
    """Type that the node's answer must have."""
    required_dependency: ImportText | None = None
    """Import string of the type that the node's dependency data must have."""
    requires_vision: Flag = False
    """Whether the model must understand images."""
    knowledge: KnowledgeSpec | None = None
    """What the node must know for this job."""
    tools: tuple[ToolSpec, ...] = Field(default=())
    """Tools for this job only."""
    min_context_tokens: Positive | None = None
    """Tokens that the model must be able to read at once."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if self.prompt.text is not None and not self.prompt.text.strip():
            yield "prompt", "must not be empty"
