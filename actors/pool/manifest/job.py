"""Make the jobs of a manifest."""

from pathlib import Path
from typing import Any

from actors.agents.manifest.imports import ImportScope
from actors.agents.manifest.knowledge import knowledge_of, text_of
from actors.agents.manifest.values import output_type, tool_of_spec
from actors.config.manifest import Manifest
from actors.runs.job import Job
from protocols.errors import ConfigError


def job_of(manifest: Manifest, name: str, scope: ImportScope) -> Job[Any]:
    """Make one job.

    Raises:
        ConfigError: something that it names cannot be found, imported or used.
    """
    spec = manifest.jobs[name]
    root = manifest.root or Path()
    who = f"job {name}"
    dependency = scope.find(spec.required_dependency, who) if spec.required_dependency is not None else None
    if dependency is not None and not isinstance(dependency, type):
        raise ConfigError(f"{who!r}: required_dependency {spec.required_dependency!r} is no type")
    return Job(
        name=name,
        description=spec.description,
        prompt=text_of(spec.prompt, root, scope, who),
        required_return_type=output_type(spec.required_return_type, who, manifest.responses, scope),
        required_dependency=dependency,
        knowledge=knowledge_of(spec.knowledge, root, scope, who),
        tools=[tool_of_spec(tool, scope.find(tool.import_path, who), who) for tool in spec.tools],
        requires_vision=spec.requires_vision,
        min_context_tokens=spec.min_context_tokens,
    )
