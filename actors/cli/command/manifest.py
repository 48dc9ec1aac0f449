"""Commands about a manifest, which run no node: `understage init|list|validate|graph FILE`, `understage schema`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from actors.cli.exit_code import ExitCode, fail
from actors.cli.option import AsJson, ManifestFile, read_manifest
from actors.cli.output import table, write

if TYPE_CHECKING:
    from actors.config.manifest import Manifest

STARTER: Final = Path(__file__).parent.parent / "starter.yml"
"""The manifest that a newcomer begins with."""


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where to write it.")] = Path("agents.yml"),
) -> None:
    """Write a manifest to begin with; it runs as it stands."""
    text = STARTER.read_text(encoding="utf-8").replace("agents.yml", str(file))
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        fail(f"{str(file)!r} is there already, and stays as it is; name another file")
    except OSError as error:
        fail(f"{str(file)!r} cannot be written: {error.strerror}")
    write(f"{file}: written; try: understage run {file} briefing 'What must we do?' --file FILE")


def list_nodes(file: ManifestFile, *, as_json: AsJson = False) -> None:
    """List agents, teams and jobs of a manifest."""
    rows = list(_rows(read_manifest(file)))
    if as_json:
        write(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    lines = [(row["name"], row["kind"], row["details"], row["description"]) for row in rows]
    write(table(("name", "kind", "details", "description"), lines))


def _rows(manifest: "Manifest") -> Iterator[dict[str, str]]:
    for name in manifest.agents:
        agent = manifest.node(name)
        function, model = getattr(agent, "function", None), getattr(agent, "model", None)
        details = function or (model.name if model is not None else "(default model)")
        yield _row(name, "function" if function else "agent", details, agent.description)
    for name, team in manifest.teams.items():
        mark = " -> " if team.mode == "sequential" else " & "
        yield _row(name, f"{team.mode} team", mark.join(team.members), team.description)
    for name, job in manifest.jobs.items():
        yield _row(name, "job", "", job.description)


def _row(name: str, kind: str, details: str, description: str | None) -> dict[str, str]:
    return {"name": name, "kind": kind, "details": details, "description": description or ""}


def validate(
    file: ManifestFile,
    *,
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="A missing key of a model is a problem.")] = False,
    no_imports: Annotated[bool, typer.Option("--no-imports", help="Import nothing that it names.")] = False,
) -> int:
    """Check a manifest, its models and imports, and list every problem; the network is not used.

    A key of a model that is not in the environment is a warning, and a problem with --strict. With --json the
    problems are on standard output, too; the exit code is the same.
    """
    from actors.config.yaml.problem import InvalidManifestError

    counts: dict[str, int] = {}
    keyless: list[Any] = []
    try:
        manifest = read_manifest(file)
        counts = {"agents": len(manifest.agents), "teams": len(manifest.teams), "jobs": len(manifest.jobs)}
        problems, keyless = _look(manifest, imports=not no_imports)
    except InvalidManifestError as error:
        problems = list[Any](error.problems)
    problems = sorted([*problems, *(keyless if strict else ())], key=lambda problem: problem.mark)
    warnings = [] if strict else keyless
    if as_json:
        write(_document(file, problems, warnings, **({} if problems else counts)))
        return ExitCode.USAGE if problems else ExitCode.OK
    if warnings:
        from actors.cli.progress import to_stderr

        for warning in warnings:
            to_stderr(f"understage: warning: {warning}")
    if problems:
        raise InvalidManifestError(problems)
    told = ", ".join(f"{count} {what if count != 1 else what[:-1]}" for what, count in counts.items())
    write(f"{file}: sound ({told})")
    return ExitCode.OK


def _look(manifest: "Manifest", *, imports: bool) -> tuple[list[Any], list[Any]]:
    from actors.app import check_manifest  # a manifest that cannot be read is told without these
    from actors.cli.loop import run

    return run(check_manifest(manifest, imports=imports))


def _as_data(problem: Any) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line or None,
        "key": problem.path,
        "message": problem.message,
        "value": problem.value,
    }


def _document(file: Path, problems: list[Any], warnings: list[Any], **counts: int) -> str:
    told = {"problems": [*map(_as_data, problems)], "warnings": [*map(_as_data, warnings)]}
    document = {"file": str(file), "sound": not problems, **told, **counts}
    return json.dumps(document, indent=2, ensure_ascii=False)


def graph(file: ManifestFile, as_json: AsJson = False) -> None:
    """Draw agents, teams and connections of a manifest as a mermaid diagram."""
    from actors.config.graph import graph_data, mermaid

    manifest = read_manifest(file)
    write(json.dumps(graph_data(manifest), indent=2, ensure_ascii=False) if as_json else mermaid(manifest).rstrip())


def schema() -> None:
    """Write the JSON Schema of manifests, for editors."""
    from actors.config.schema import manifest_schema

    write(json.dumps(manifest_schema(), indent=2, ensure_ascii=False))
