"""The web service of the examples, as a process."""

from __future__ import annotations

import asyncio
import signal

import httpx2
import pytest

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
    assert (ready.status_code, sorted(ready.json()["nodes"])) == (200, ["clerk", "critic", "review", "summarizer"])
    assert process.returncode == 0


@pytest.mark.parametrize(("allow", "answer"), [(True, "is closed"), (False, "was not allowed")])
async def test_a_person_decides_about_a_call_of_the_clerk(answer: str, *, allow: bool) -> None:
    async with (
        service(EXAMPLE / "app.py") as (process, url),
        httpx2.AsyncClient(base_url=url, timeout=TIMEOUT, trust_env=False) as http,
    ):
        asked = asyncio.create_task(http.post("/ask/clerk", params={"question": "Close it", "session": "alice"}))
        while not (waiting := (await http.get("/approvals")).json()):
            assert not asked.done()
        unknown = await http.post("/approvals/unheard-of", params={"allow": True})
        decided = await http.post(f"/approvals/{waiting[0]['run']}", params={"allow": allow})
        given = (await asked).json()["answer"]
        left = (await http.get("/approvals")).json()
        process.send_signal(signal.SIGTERM)
        await process.communicate()

    assert waiting[0]["tool"] == "close_account"
    assert (unknown.status_code, decided.status_code, left) == (404, 200, [])
    assert answer in given
    assert process.returncode == 0


def test_the_readme_shows_the_program_as_it_is() -> None:
    program = (EXAMPLE / "app.py").read_text(encoding="utf-8")
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")

    shown = readme.partition("```python\n")[2].partition("```")[0].strip().splitlines()
    assert [line for line in shown if line not in program.splitlines()] == []
