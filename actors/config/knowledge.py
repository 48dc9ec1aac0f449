"""What an agent or job knows before it starts: files, addresses, functions, texts."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, cast

from pydantic import Field

from actors.config.import_path import ImportText
from actors.config.prompt import Prompts
from actors.config.section import Section
from actors.config.value import FullTexts, Positive


class KnowledgeSpec(Section):
    """Sources whose text is given to the model; a plain list of texts means `paths`."""

    short_forms: ClassVar[tuple[str, ...]] = ("string", "array")
    spellings: ClassVar[Mapping[str, str]] = {"resources": "urls"}

    paths: FullTexts = ()
    """Text files or patterns such as `notes/**/*.md`, relative to the manifest; a plain file must exist."""
    urls: FullTexts = ()
    """Addresses whose text is fetched."""
    callables: tuple[ImportText, ...] = ()
    """Import strings of functions that return text."""
    prompts: Prompts = Field(default=())
    """Texts that are used as they are."""
    max_bytes: Positive = 1_000_000
    """Bound on the text of all sources together."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        for url in self.urls:
            if not url.startswith(("http://", "https://")):
                yield "urls", f"{url[:60]!r} must begin with http:// or https://"
        for path in self.paths:
            if not path.isprintable():
                yield "paths", f"{path[:60]!r} has line breaks or control characters"

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Read a list of paths, or a single one."""
        return {"paths": cast("object", data)} if isinstance(data, str | list | tuple) else data
