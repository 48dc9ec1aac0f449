"""The web service of the examples, as a process."""

from __future__ import annotations

import signal

import httpx2

from tests.cli.conftest import ROOT
from tests.http.test_server import service
from tests.support.waiting import TIMEOUT

EXAMPLE = ROOT / "examples" / "fastapi_service"
QUESTION = "Cats sleep for many hours of every single day. Whoever wakes one is liable for the scratches."


async def test_the_service_answers_is_ready_and_ends_with_code_0() -> None:
    async with (
        service(EXAMPLE / "app.py") as (process, url),
        httpx2.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False) as http,
    ):
        answer = await http.post("/ask/summarizer", params={"question": QUESTION})
        review = await http.post("/ask/review", params={"question": QUESTION})
        unknown = await http.post("/ask/nobody", params={"question": QUESTION})
        ready = await http.get("/health/ready")
        process.send_signal(signal.SIGTERM)
        out, err = await process.communicate()

    assert b"Cats" not in out + err, "prompts are not logged"
    assert answer.json() == {"answer": "Cats sleep for many hours of every single day."}
    assert review.status_code == 200
    assert (unknown.status_code, unknown.json()["detail"].split(";")[0]) == (404, "there is no node 'nobody'")
    assert (ready.status_code, sorted(ready.json()["nodes"])) == (200, ["critic", "review", "summarizer"])
    assert process.returncode == 0


def test_the_readme_shows_the_program_as_it_is() -> None:
    program = (EXAMPLE / "app.py").read_text(encoding="utf-8")
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")

    shown = readme.partition("```python\n")[2].partition("```")[0].strip().splitlines()
    assert [line for line in shown if line not in program.splitlines()] == []
