"""Giving something to every agent of a team."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from actors.prompts.content import load_user_content, prompt_text
from actors.runs.request import TOOLS, AnyTool
from protocols.checks import check_values
from protocols.errors import ConfigError


class Distribution:
    """What a team can give to its agents."""

    def leaves(self) -> Iterator[Any]:
        """Yield the nodes that do the work."""
        raise NotImplementedError

    def add_context(self, text: str, *, session: str | None = None) -> None:
        """Give text that every agent of the team reads before the prompt of its next run (once); see `NodeHandle`."""
        for node in self.leaves():
            node.add_context(text, session=session)

    async def distribute(
        self,
        content: str = "",
        *,
        tools: Sequence[AnyTool] = (),
        resources: Sequence[object] = (),
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Give every agent of the team something for its next run.

        Args:
            content: text that it reads before the prompt.
            tools: functions, or tools, that its model may call from now on; agents without a model do not get them.
            resources: paths and other prompts (see `actors.prompts.content`) that it reads as well.
            metadata: facts about the content, as ``name: value`` lines below it.

        Raises:
            ConfigError: a tool is neither a function nor a tool; no agent has got anything.
        """
        check_values({"tools": TOOLS}, {"tools": list(tools)}, lambda _, problem: ConfigError(problem))
        facts = "\n".join(f"{name}: {value}" for name, value in (metadata or {}).items())
        prompts = [part for part in (content, facts, *resources) if part]
        text = prompt_text(await load_user_content(prompts)) if prompts else ""
        for node in dict.fromkeys(self.leaves()):
            node.take_tools(tools)
            if text:
                node.add_context(text)
