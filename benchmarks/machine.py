"""Where and when the numbers were taken."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

LIBRARIES = ("pykka", "pydantic-ai-slim", "msgspec", "autogen-core", "langgraph", "everything-is-an-actor")


def facts(rival_python: str) -> dict[str, str]:
    """Machine, interpreter, versions, commit and date, for the JSON file and the page."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "cpu": f"{os.cpu_count()} x {processor()}",
        "load": f"{os.getloadavg()[0]:.1f} over the last minute of the run",
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}{_rival_version(rival_python)}",
        "libraries": ", ".join(f"{n} {v}" for n, v in versions(rival_python).items()),
    }


def _rival_version(rival_python: str) -> str:
    """Version of the competitors' interpreter, if it is another one."""
    found = _output([rival_python, "-c", "import platform; print(platform.python_version())"])
    return f", of other libraries {found}" if found not in {"", platform.python_version()} else ""


def commit() -> str:
    """Short hash of HEAD, marked if files that are kept in git have changed since."""
    head = _output(["git", "rev-parse", "--short", "HEAD"])
    changed = _output(["git", "status", "--porcelain", "--untracked-files=no"])
    return f"{head}, with changes" if head and changed else head or "unknown"


def processor() -> str:
    """Model name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def versions(rival_python: str) -> dict[str, str]:
    """Installed version of every library that takes part, ours first, else the competitors' interpreter's."""
    found = {name: version for name in LIBRARIES if (version := _own_version(name))}
    missing = [name for name in LIBRARIES if name not in found]
    code = (
        "import sys\nfrom importlib import metadata\n"
        "have = {d.name.lower(): d.version for d in metadata.distributions()}\n"
        "print('\\n'.join(f'{n} {have[n]}' for n in sys.argv[1:] if n in have))"
    )
    for line in _output([rival_python, "-c", code, *missing]).splitlines():
        name, _, version = line.partition(" ")
        found[name] = version
    return found


def _own_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
