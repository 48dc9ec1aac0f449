"""One job of a manifest on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from actors.app import App
from actors.cli.exit_code import CommandError, ExitCode, text_of
from actors.cli.run_once import RunOnce
from actors.config.manifest import Manifest
from protocols.errors import NodeNotFoundError, nearest
from protocols.messages import ChatMessage
from protocols.response import TeamResponse


@dataclass
class JobOnce(RunOnce):
    """The job, and the node that does it."""

    job: str = ""

    def _checked(self) -> Manifest:
        manifest = super()._checked()
        if self.job not in manifest.jobs:
            hint = nearest(self.job, manifest.jobs) or "; it has no jobs"
            text = f"no job {self.job!r} in manifest {str(self.manifest_file)!r}{hint}"
            raise NodeNotFoundError(text)
        return manifest

    async def _prompt(self, manifest: Manifest) -> Any:
        return None  # the job has one

    async def _run(self, app: App, manifest: Manifest, prompt: Any) -> ChatMessage[Any]:
        options: dict[str, Any] = {} if self.timeout is None else {"timeout": self.timeout}
        answer: object = await app.pool[self.node].run_job(app.pool.get_job(self.job), **options)
        if isinstance(answer, TeamResponse):
            return _merged(answer, self.node, self.job)
        assert isinstance(answer, ChatMessage)
        return answer


def _merged(answers: TeamResponse[Any], node: str, job: str) -> ChatMessage[Any]:
    """Return the answers of a team as one message.

    Raises:
        CommandError: all members failed.
    """
    errors = {name: text_of(error) for name, error in answers.errors.items()}
    if not answers:
        failures = "; ".join(f"{name}: {text}" for name, text in errors.items())
        text = f"job {job!r}: every member of {node!r} failed: {failures}"
        raise CommandError(text, ExitCode.FAILED)
    message = answers.to_chat_message()
    return replace(message, metadata={**message.metadata, "errors": errors})
