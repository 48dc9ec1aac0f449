"""`understage job`: as a run, with the prompt of the manifest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from actors.cli.exit_code import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Call

JOBS = """
jobs:
  greet: {prompt: hello}
  digest: {prompt: The cat sleeps all day long on the mat.}
"""


@pytest.fixture
def with_jobs(manifest: Path) -> Path:
    """The manifest, with jobs."""
    with manifest.open("a", encoding="utf-8") as file:
        file.write(JOBS)
    return manifest


def test_a_job_is_done_by_an_agent(cli: Call, with_jobs: Path) -> None:
    done = cli("job", with_jobs, "fine", "greet")

    assert (done.code, done.out) == (ExitCode.OK, "fine: hello\n")
    assert "fine: started\n" in done.err


def test_a_job_is_done_by_a_chain(cli: Call, with_jobs: Path) -> None:
    assert cli("job", with_jobs, "chain", "digest").out == "fine: The cat sleeps all day long on the mat.\n"


def test_a_job_is_done_by_every_member_of_a_team(cli: Call, with_jobs: Path) -> None:
    done = cli("job", with_jobs, "partial", "greet")

    assert (done.code, done.out) == (ExitCode.OK, "[fine]: fine: hello\n")
    assert "understage: member 'boom' failed: " in done.err
    assert "no luck today" in done.err


def test_json_for_programs(cli: Call, with_jobs: Path) -> None:
    document = json.loads(cli("job", with_jobs, "partial", "greet", "--json").out)

    assert (document["node"], document["text"]) == ("partial", "[fine]: fine: hello")
    assert list(document["failed_members"]) == ["boom"]


@pytest.mark.parametrize("node", ["boom", "hopeless", "broken"])
def test_a_job_that_fails_is_one_message(cli: Call, with_jobs: Path, node: str) -> None:
    done = cli("job", with_jobs, node, "greet")

    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert "no luck today" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err


def test_a_job_that_takes_too_long_fails(cli: Call, with_jobs: Path) -> None:
    done = cli("job", with_jobs, "waiter", "greet", "--timeout", "0.01")

    assert done.code == ExitCode.FAILED
    assert "was not finished within 0.01 s" in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["fine", "great"], "no job 'great' in manifest"),
        (["fien", "greet"], "no node 'fien' in"),
        (["writer", "greet", "--model", "nope"], "model 'nope' is unknown"),
        (["writer", "greet", "--timeout", "0"], "--timeout must be a number of seconds > 0"),
        (["fine"], "Missing argument 'JOB'"),
    ],
)
def test_what_cannot_be_done_is_one_message(cli: Call, with_jobs: Path, arguments: list[str], text: str) -> None:
    done = cli("job", with_jobs, *arguments)

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert len(done.err.splitlines()) == 1
    assert text in done.err


def test_the_nearest_job_is_offered(cli: Call, with_jobs: Path, manifest: Path) -> None:
    assert "did you mean 'greet'" in cli("job", with_jobs, "fine", "great").err


def test_a_manifest_without_jobs_says_so(cli: Call, manifest: Path) -> None:
    assert "it has no jobs" in cli("job", manifest, "fine", "greet").err
