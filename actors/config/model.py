"""Which language model an agent uses, and with which settings."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field, JsonValue

from actors.config.duration import PositiveSeconds
from actors.config.section import Section
from actors.config.value import Amount, Flag, FullTexts, Number, Positive, Secret, Text, Whole
from protocols.checks import ADDRESS


class ModelSettingsSpec(Section):
    """Settings that most providers know."""

    temperature: Amount | None = None
    """Randomness; 0 is as deterministic as the model can be."""
    top_p: Annotated[Amount, Field(le=1)] | None = None
    """Share of the likeliest tokens that may be chosen, from 0 to 1."""
    max_tokens: Positive | None = None
    """Tokens of one answer."""
    timeout: PositiveSeconds | None = None
    """How long one request may take, in seconds."""
    parallel_tool_calls: Flag | None = None
    """Whether the model may call several tools at once."""
    seed: Whole | None = None
    """Seed of the random choice."""
    presence_penalty: Number | None = None
    """Penalty for tokens that have appeared."""
    frequency_penalty: Number | None = None
    """Penalty for tokens by how often they have appeared."""
    stop_sequences: FullTexts | None = None
    """Texts at which the answer ends."""
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    """Settings of one provider, handed on under their own names, as in `openai_reasoning_effort`."""


class ModelSpec(Section):
    """A model; a plain text is its name, as in `openai:gpt-4o`, `offline` or `test`."""

    shorthand = "name"
    spellings: ClassVar[Mapping[str, str]] = {"type": "name", "model": "name"}

    name: Text
    """Provider and model."""
    fallbacks: FullTexts = ()
    """Models to try, in order, when this one fails."""
    base_url: Text | None = None
    """Address of a server of your own that has the model, as in `http://localhost:11434/v1`."""
    headers: dict[str, Secret] = Field(default_factory=dict)
    """HTTP headers for it."""
    key_variable: Text | None = None
    """Environment variable with the key for it; without one, no key is sent."""
    settings: ModelSettingsSpec | None = None
    """Settings for each request."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if self.base_url is not None and not ADDRESS.accepts(self.base_url):
            yield "base_url", f"expected {ADDRESS.expected}"
        for key in ("headers", "key_variable"):
            if getattr(self, key) and self.base_url is None:
                yield key, "goes with base_url"
