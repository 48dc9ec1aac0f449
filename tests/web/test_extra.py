"""Without the libraries of the extra the room says so."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("library", ["starlette", "uvicorn"])
def test_importing_without_a_library_names_the_extra(library: str) -> None:
    code = (
        f"import sys\nsys.modules[{library!r}] = None\n"
        "try:\n    import actors.web\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    words = f"actors.web needs {library}, which is not installed; install the extra: pip install 'understage[web]'"
    assert done.stdout.strip() == words


def test_importing_the_room_opens_nothing() -> None:
    code = (
        "import sys, threading\nopened, wanted = [], ('socket.bind', 'socket.connect')\n"
        "sys.addaudithook(lambda event, _: opened.append(event) if event in wanted else None)\n"
        "import actors.web\nprint(opened, threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[] 1"
