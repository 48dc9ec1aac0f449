"""Streaming on every node."""

from typing import Unpack

from actors.runs.handle import Deps, NodeHandle, Out
from actors.runs.request import NO_OPTIONS, RunKeywords, RunOptions
from actors.runs.stream import RunStream


class Streaming(NodeHandle[Deps, Out]):
    """A node whose runs can be followed."""

    def run_stream(self, *prompts: object, **options: Unpack[RunKeywords]) -> RunStream[Out]:
        """Return a stream over one run: ``async with``, ``async for``, `RunStream.stream`.

        Args:
            prompts: as for `run`.
            **options: what differs for this run only, see `RunOptions`. ``require_all=False`` lets a chain skip a stage
                that fails.

        Raises:
            EmptyPromptError: there is nothing in the prompts.
            TypeError: an unknown option.

        While it is read it raises what `run` raises, except that a chain raises ChainBrokenError (also a ValueError),
        which names the stage and has the stage's exception as its cause.
        """
        return RunStream(self, prompts, RunOptions.of(self.name, options) if options else NO_OPTIONS)
