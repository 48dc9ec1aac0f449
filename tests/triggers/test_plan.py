from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from actors.config.trigger import FileTrigger, IntervalTrigger, ScheduleTrigger, WebhookTrigger
from actors.testing.settle import settle
from actors.triggers import TriggerPlan, TriggerRequest, plan_triggers
from actors.triggers.plan import BUILT_IN
from protocols.errors import ConfigError
from protocols.triggers import TriggerConfigError, TriggerExtraError
from tests.triggers.started import RecordingNode, start_triggers

if TYPE_CHECKING:
    from pathlib import Path

    from actors.config.trigger import TriggerSpec
    from actors.runtime.system import ActorSystem


def hook(name: str = "w", path: str = "/in", port: int = 8100, **keys: Any) -> WebhookTrigger:
    return WebhookTrigger(type="webhook", name=name, port=port, path=path, secret=(SecretStr("s"),), **keys)


def files(name: str = "f", root: str | None = None) -> FileTrigger:
    return FileTrigger(type="file", name=name, paths=("*.md",), root=root)


def every(name: str = "i", prompt: str = "Look") -> IntervalTrigger:
    return IntervalTrigger(type="interval", name=name, every=10, prompt=prompt)


def find_nothing(name: str) -> None:
    """Find no library."""


def plan(*settings: TriggerSpec, previous: TriggerPlan | None = None) -> TriggerPlan:
    return plan_triggers([TriggerRequest("n", each, RecordingNode()) for each in settings], previous=previous)


def unknown_user(number: int) -> None:
    raise KeyError(number)


def names(found: TriggerPlan) -> list[str]:
    return [child.name for child in found.children]


def test_queues_come_before_sources(tmp_path: Path) -> None:
    found = plan_triggers(
        [
            TriggerRequest("a", every(), RecordingNode()),
            TriggerRequest("b", hook(), RecordingNode()),
            TriggerRequest("b", files(), RecordingNode()),
        ],
        root=tmp_path,
    )

    assert names(found) == [
        "a/i queue", "b/w queue", "b/f queue", "a/i", "webhooks of 127.0.0.1:8100", f"files of {tmp_path}",
    ]  # fmt: skip


def test_what_can_be_shared_is_shared() -> None:
    found = plan(
        hook("a", "/a"), hook("b", "/b"), hook("c", "/a", port=8200), files("d"), files("e"), files("f", root="sub")
    )

    sources = [child for child in found.children if not child.name.endswith(" queue")]
    assert [len(child.triggers) for child in sources] == [2, 1, 2, 1]
    assert len(found.sites) == 2


def test_a_root_may_lie_in_the_home_folder_if_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names(plan(files(root="~/in")))[-1] == f"files of {tmp_path / 'in'}"

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown_user)
    with pytest.raises(ConfigError, match="no home folder stands for the '~' of '~/in'; set HOME"):
        plan(files(root="~/in"))


@pytest.mark.seed("S98")
def test_a_trigger_that_is_switched_off_is_left_out() -> None:
    off = ScheduleTrigger(type="time", name="t", schedule="0 0 30 2 *", prompt="x", enabled=False)

    assert names(plan(off)) == []


def test_an_unchanged_trigger_is_taken_over_by_a_reload() -> None:
    before = plan(every("a"), every("b"), hook("w"))

    after = plan(every("a"), every("b", prompt="Other"), hook("w"), previous=before)

    kept = {child.name: child for child in before.children}
    assert [child.name for child in after.children if kept.get(child.name) is child] == [
        "n/a queue", "n/w queue", "n/a", "webhooks of 127.0.0.1:8100",
    ]  # fmt: skip
    assert after.triggers[0] is before.triggers[0]
    assert after.triggers[1] is not before.triggers[1]


def test_a_reload_that_adds_a_webhook_keeps_what_the_others_remember() -> None:
    before = plan(hook("a", "/a"))

    after = plan(hook("a", "/a"), hook("b", "/b"), previous=before)

    assert after.sites[0].routes.webhooks[0] is before.sites[0].routes.webhooks[0]
    assert after.children[-1] is not before.children[-1]


def test_a_reload_uses_the_new_node_for_what_is_kept() -> None:
    before = plan(every())
    node = RecordingNode()

    plan_triggers([TriggerRequest("n", every(), node)], previous=before)

    assert before.triggers[0].starter is node


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ([every(), every()], "need different names; twice there are n/i"),
        (
            [ScheduleTrigger(type="time", name="t", schedule="0 0 30 2 *", prompt="p")],
            "trigger 'n/t': cron line '0 0 30",
        ),
        ([hook("a"), hook("b")], "different paths"),
    ],
)
def test_what_can_never_work_is_refused_before_anything_starts(settings: list[TriggerSpec], text: str) -> None:
    with pytest.raises(TriggerConfigError, match=text):
        plan(*settings)


@pytest.mark.parametrize("settings", [hook(), files()])
def test_a_missing_library_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch, settings: TriggerSpec) -> None:
    monkeypatch.setattr("importlib.util.find_spec", find_nothing)

    with pytest.raises(TriggerExtraError, match=r"needs .*pip install 'understage\[triggers\]'"):
        plan(settings)


def test_triggers_that_need_no_library_work_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", find_nothing)

    daily = ScheduleTrigger(type="time", name="t", schedule="@daily", prompt="p")

    assert names(plan(every(), daily)) == ["n/i queue", "n/t queue", "n/i", "n/t"]


def test_importing_the_room_imports_none_of_its_libraries() -> None:
    libraries = sorted({name for known in BUILT_IN for name in known.libraries})
    code = f"import sys, actors.triggers; sys.exit(' '.join(set({libraries}) & sys.modules.keys()) or 0)"

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.seed("S99")
async def test_triggers_of_different_kinds_work_side_by_side(actor_system: ActorSystem, manual_clock: Any) -> None:
    node = RecordingNode()
    stage = await start_triggers(actor_system, [every("a"), every("b"), hook(port=0)], node)
    await stage.ready()

    await manual_clock.advance(10)
    await settle()

    assert {event.source for event in node.events} == {"a", "b"}
