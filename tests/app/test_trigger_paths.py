"""With storage, a webhook that was accepted before a restart of the process is not run again after it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import httpx2
import pytest

from actors import AgentPool
from actors.app import open_app, trigger_service
from actors.app.trigger_paths import replay_journal, schedule_progress
from actors.config.load import load_manifest
from actors.triggers import sign
from protocols.triggers import TriggerError
from tests.app.test_trigger_service import Answers, triggers_of
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = """
allow_imports: [tests.app]
agents:
  clerk:
    type: callback
    callback: tests.app.manifest_functions:echo
    triggers:
      - {type: webhook, name: orders, port: 0, path: /orders, secret: secret}
      - {type: webhook, name: bills, port: 0, path: /bills, secret: secret}
"""
STORAGE = "storage: {type: sqlite, path: kept/history.db}\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "agents.yml"
    path.write_text(text, encoding="utf-8")
    return path


async def post(manifest: Path, request: dict[str, str], *paths: str) -> list[int]:
    """Send the same request to some webhooks of a new life of the pool."""
    async with AgentPool[None](manifest) as pool:
        answers = Answers(pool)
        triggers = triggers_of(pool)
        await triggers.ready()
        async with httpx2.AsyncClient(base_url=triggers.plan.sites[0].url, trust_env=False) as http:
            statuses = [(await http.post(path, content=b"{}", headers=request)).status_code for path in paths]
        for _ in [status for status in statuses if status == 202]:
            await answers.next()
    return statuses


def request() -> dict[str, str]:
    headers = sign("secret", b"{}", event_id="e1", timestamp=int(time.time()) + 5)  # a clock that is a little fast
    return {**headers, "content-type": "application/json"}


async def test_a_replay_after_a_restart_is_not_run_again_with_storage(tmp_path: Path, no_leaked_actors: None) -> None:
    manifest = written(tmp_path, STORAGE + MANIFEST)
    captured = request()

    first = await post(manifest, captured, "/orders", "/orders")
    second = await post(manifest, captured, "/orders", "/bills", "/orders")

    assert (first, second) == ([202, 200], [200, 202, 200])
    assert [path.suffix for path in (tmp_path / "kept").glob("webhooks-*")] == [".replay"]


async def test_a_request_that_was_signed_while_nothing_ran_is_taken_with_storage(
    tmp_path: Path, no_leaked_actors: None
) -> None:
    manifest = written(tmp_path, STORAGE + MANIFEST)
    await post(manifest, request(), "/bills")
    headers = {**sign("secret", b"{}", event_id="e2", timestamp=int(time.time())), "content-type": "application/json"}
    journal = replay_journal(load_manifest(manifest))
    assert journal is not None
    journal.open()
    journal.close()

    assert journal.since <= int(headers["webhook-timestamp"])
    assert await post(manifest, headers, "/orders") == [202]


@pytest.mark.parametrize("text", [MANIFEST, "storage: memory\n" + MANIFEST, STORAGE + "agents: {a: {model: offline}}"])
async def test_nothing_is_kept_without_storage_or_without_webhooks(
    tmp_path: Path, text: str, no_leaked_actors: None
) -> None:
    assert replay_journal(load_manifest(written(tmp_path, text))) is None


async def test_a_pool_that_cannot_keep_what_its_webhooks_accept_does_not_start(
    tmp_path: Path, no_leaked_actors: None
) -> None:
    pool = AgentPool[None](written(tmp_path, STORAGE + MANIFEST))
    journal = replay_journal(pool.manifest)
    assert journal is not None
    journal.path.mkdir(parents=True)

    with pytest.raises(TriggerError, match="cannot be kept in"):
        await pool.__aenter__()

    assert not pool.is_running


async def test_a_time_that_passed_while_no_pool_ran_is_made_up_for_with_storage(
    tmp_path: Path, no_leaked_actors: None
) -> None:
    keys = "schedule: 0 0 1 1 *, prompt: A new year, timezone: UTC"
    triggers = f"[{{type: time, name: kept, {keys}}}, {{type: time, name: skips, {keys}, skip_missed: true}}]"
    manifest = written(tmp_path, f"{STORAGE}agents: {{a: {{model: offline, triggers: {triggers}}}}}")
    async with AgentPool[None](manifest) as pool:
        assert [each.accepted for each in triggers_of(pool).statistics()] == [0, 0]
    progress = schedule_progress(load_manifest(manifest))
    assert progress is not None
    progress.open()
    for name in ("a/kept", "a/skips"):
        assert progress.of(name, "0 0 1 1 *") is not None
        progress.keep(name, "0 0 1 1 *", time.time() - 3 * 365.25 * 86_400)

    async with AgentPool[None](manifest) as pool:
        answers = Answers(pool)
        answer = await answers.next()
        numbers = [each.accepted for each in triggers_of(pool).statistics()]

    assert (answer.trigger, numbers) == ("kept", [1, 0])
    assert answer.event.metadata["missed"] == 2


async def test_a_schedule_that_was_switched_off_does_not_make_up_for_that_time(
    tmp_path: Path, no_leaked_actors: None
) -> None:
    def manifest(enabled: str) -> Path:
        keys = f"schedule: 0 0 1 1 *, prompt: A new year, timezone: UTC, enabled: {enabled}"
        return written(
            tmp_path, f"{STORAGE}agents: {{a: {{model: offline, triggers: [{{type: time, name: t, {keys}}}]}}}}"
        )

    async def served(enabled: str) -> float | None:
        async with AgentPool[None](manifest(enabled)):
            pass
        progress = schedule_progress(load_manifest(manifest(enabled)))
        assert progress is not None
        progress.open()
        return progress.of("a/t", "0 0 1 1 *")

    assert await served("true") is not None
    assert await served("false") is None


async def test_a_second_process_is_refused_before_it_touches_a_file(tmp_path: Path, no_leaked_actors: None) -> None:
    manifest = load_manifest(written(tmp_path, STORAGE + MANIFEST))
    journal = replay_journal(manifest)
    assert journal is not None
    async with AgentPool[None](manifest):
        before = journal.path.stat().st_ino, journal.path.stat().st_size

        with pytest.raises(TriggerError, match=f"process {os.getpid()} on .* runs the triggers of this manifest"):
            async with open_app(manifest):
                pytest.fail("it opens")

        assert (journal.path.stat().st_ino, journal.path.stat().st_size) == before
    async with open_app(manifest) as app:
        assert len(app.triggers.plan.triggers) == 2


async def test_a_second_pool_stands_by_and_takes_the_triggers_over(
    tmp_path: Path, no_leaked_actors: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger_service, "STAND_BY", 0.01)
    manifest = written(tmp_path, STORAGE + MANIFEST)
    first = AgentPool[None](manifest)
    await first.__aenter__()
    async with AgentPool[None](manifest) as second:
        assert "runs the triggers of this manifest" in caplog.text
        assert triggers_of(second).plan.triggers == ()
        await second.reload()
        assert triggers_of(second).plan.triggers == ()

        await first.__aexit__(None, None, None)
        await wait_until(lambda: len(triggers_of(second).plan.triggers) == 2)

        await triggers_of(second).ready()


async def test_a_webhook_that_comes_with_a_reload_is_kept_as_well(tmp_path: Path, no_leaked_actors: None) -> None:
    captured = request()
    manifest = written(tmp_path, STORAGE + MANIFEST.partition("    triggers:")[0])
    async with AgentPool[None](manifest) as pool:
        written(tmp_path, STORAGE + MANIFEST)
        await pool.reload()
        answers, triggers = Answers(pool), triggers_of(pool)
        await triggers.ready()
        async with httpx2.AsyncClient(base_url=triggers.plan.sites[0].url, trust_env=False) as http:
            first = (await http.post("/orders", content=b"{}", headers=captured)).status_code
        await answers.next()

    assert (first, await post(manifest, captured, "/orders")) == (202, [200])


def test_manifests_of_one_folder_have_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "other.yml").write_text(STORAGE + MANIFEST, encoding="utf-8")
    journals = [
        replay_journal(load_manifest(one)) for one in (written(tmp_path, STORAGE + MANIFEST), tmp_path / "other.yml")
    ]

    assert len({journal.path for journal in journals if journal is not None}) == 2
