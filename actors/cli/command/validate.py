"""`understage validate FILE`: is this manifest sound?"""

import json
from pathlib import Path
from typing import Any

from actors.cli.exit_code import ExitCode
from actors.cli.option import AsJson, ManifestFile
from actors.cli.output import write


def validate(file: ManifestFile, *, as_json: AsJson = False) -> int:
    """Check a manifest and list every problem in it.

    With --json the problems are on standard output, too; the exit code is the same.
    """
    from actors.cli.option import read_manifest
    from actors.config.yaml.problem import InvalidManifestError

    try:
        manifest = read_manifest(file)
    except InvalidManifestError as error:
        if not as_json:
            raise
        write(_document(file, problems=[_as_data(problem) for problem in error.problems]))
        return ExitCode.USAGE
    counts = {"agents": len(manifest.agents), "teams": len(manifest.teams), "jobs": len(manifest.jobs)}
    if as_json:
        write(_document(file, problems=[], **counts))
    else:
        told = ", ".join(f"{count} {what if count != 1 else what[:-1]}" for what, count in counts.items())
        write(f"{file}: sound ({told})")
    return ExitCode.OK


def _as_data(problem: Any) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line or None,
        "key": problem.path,
        "message": problem.message,
        "value": problem.value,
    }


def _document(file: Path, *, problems: list[dict[str, Any]], **counts: int) -> str:
    document = {"file": str(file), "sound": not problems, "problems": problems, **counts}
    return json.dumps(document, indent=2, ensure_ascii=False)
