"""Fresh processes, interleaved rounds, and what happens when one goes wrong. Nothing here looks at a clock."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks import harness
from benchmarks.__main__ import main
from benchmarks.child import batches, load, reason_to_skip
from benchmarks.harness import Harness, find, questions, record
from benchmarks.outcome import Outcome
from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STUB = Question(
    title="t",
    unit=Unit.SECONDS,
    count=10,
    contestants=(
        Contestant(name="ours", run=float),
        Contestant(name="rival", run=float, requires="no_such_library"),
        Contestant(name="bare", run=float),
    ),
    targets=(Target(against="bare", at_most=2.0),),
    rounds=2,
)


def stub_question(_: str) -> Question:
    return STUB


def no_facts(_: str) -> dict[str, str]:
    return {}


class Machine:
    """Stands for the operating system: answers each process from a script and remembers who ran."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.commands: list[list[str]] = []

    @property
    def order(self) -> list[str]:
        return [command[4] for command in self.commands]

    def run(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        if command[4] == self.broken:
            return subprocess.CompletedProcess(command, 1, "", "Traceback\nValueError: boom")
        if command[4] == "rival":
            return subprocess.CompletedProcess(command, 0, '{"skipped": "not installed"}', "")
        line = json.dumps({"per_operation": 0.5, "peak_rss": 1024})
        lines = "\n".join([line] * (len(command[4:-1]) // 2))
        return subprocess.CompletedProcess(command, 0, f"a banner\n{lines}\n", "")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()
    monkeypatch.setattr(subprocess, "run", found.run)
    monkeypatch.setattr(harness, "load", stub_question)
    return found


def test_rounds_are_interleaved_and_a_missing_competitor_is_tried_once(machine: Machine) -> None:
    answer = Harness().answer("bench_stub")
    assert machine.order == ["ours", "rival", "bare", "ours", "bare"]
    assert answer.outcomes["rival"].skipped == "not installed"
    assert answer.outcomes["ours"].values == [0.5, 0.5]


def test_failing_contestant_is_recorded_and_the_others_go_on(machine: Machine) -> None:
    machine.broken = "bare"
    answer = Harness().answer("bench_stub")
    assert answer.outcomes["bare"].failed == "exit code 1: ValueError: boom"
    assert len(answer.outcomes["ours"].values) == 2


def test_process_that_takes_too_long_is_a_failure(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 7.0)

    monkeypatch.setattr(subprocess, "run", hang)
    assert Harness(timeout=7.0).answer("bench_stub").outcomes["ours"].failed == "no result within 7 s"


def test_competitors_run_in_their_interpreter_and_we_in_ours(machine: Machine) -> None:
    Harness(rival_python="/rival/python").answer("bench_stub")
    assert [command[0] == "/rival/python" for command in machine.commands[:3]] == [False, True, False]


def test_ours_and_the_bare_ones_take_turns_in_one_process_when_the_question_says_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interleaved(_: str) -> Question:
        return replace(STUB, is_interleaved=True, rounds=1)

    monkeypatch.setattr(harness, "load", interleaved)
    answer = Harness().answer("bench_stub")
    assert [command[4:-1] for command in machine.commands] == [["ours", "10", "bare", "10"], ["rival", "10"]]
    assert answer.outcomes["ours"].values == answer.outcomes["bare"].values == [0.5]


async def test_batches_of_several_take_turns() -> None:
    seen: list[str] = []

    def one(name: str, seconds: float) -> Callable[[int], float]:
        def run(_: int) -> float:
            seen.append(name)
            return seconds

        return run

    assert await batches([(one("a", 1.0), 1), (one("b", 2.0), 2)], 2) == [[1.0, 1.0], [1.0, 1.0]]
    assert seen == ["a", "b"] * 3


def test_ours_runs_beside_a_competitor_in_its_interpreter() -> None:
    beside = Contestant(name="ours, same Python", run=float, requires="pykka", is_beside=True)
    assert Harness(rival_python="/rival/python").command("bench_ask", [beside], [1], 1)[0] == "/rival/python"


def test_quick_run_has_fewer_operations(machine: Machine) -> None:
    Harness(quick=True).answer("bench_stub")
    assert {command[5] for command in machine.commands} == {"1"}


def test_output_that_is_no_result_is_a_failure() -> None:
    outcome = Outcome()
    record(outcome, 0, "hello\n", "")
    assert outcome.failed == "exit code 0: printed 'hello'"


async def test_batches_warm_up_once_and_divide_by_the_count() -> None:
    seen: list[int] = []

    async def run(count: int) -> float:
        seen.append(count)
        return 20.0

    assert await batches([(run, 10)], 3) == [[2.0, 2.0, 2.0]]
    assert seen == [10] * 4


async def test_single_batch_starts_cold() -> None:
    seen: list[int] = []

    def run(count: int) -> float:
        seen.append(count)
        return 1.0

    assert await batches([(run, 1)], 1) == [[1.0]]
    assert seen == [1]


def test_contestant_is_skipped_when_its_library_or_python_is_missing() -> None:
    assert reason_to_skip(STUB.contestant("rival")) == "not installed"
    assert reason_to_skip(Contestant(name="new", run=float, python=(99, 0))) == "needs Python >= 99.0"
    assert reason_to_skip(STUB.contestant("ours")) == ""


def test_fresh_process_reports_a_bare_contestant() -> None:
    command = Harness().command("bench_ask", [load("bench_ask").contestant("bare future + call_soon")], [3], 1)
    done = subprocess.run(command, cwd=harness.ROOT, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert (result["count"], len(result["batches"])) == (3, 1)
    assert result["peak_rss"] > 0


@pytest.mark.parametrize("module", questions())
def test_every_question_has_known_names_in_its_targets(module: str) -> None:
    question = load(module)
    names = [contestant.name for contestant in question.contestants]
    for target in question.targets:
        assert target.subject in names
        assert target.against in {"", *names}
    assert len(names) == len(set(names))


def test_script_that_asks_no_question_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bench_alone.py").write_text("print('on its own')\n")
    (tmp_path / "bench_asked.py").write_text("\nQUESTION = Question(title='t')\n")
    monkeypatch.setattr(harness, "__file__", str(tmp_path / "harness.py"))
    assert questions() == ["bench_asked"]


def test_find_takes_short_and_long_names() -> None:
    assert find(["ask", "bench_tell"]) == ["bench_ask", "bench_tell"]
    assert find([]) == questions()


def test_unknown_question_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no benchmark 'nope'; there are: .*ask"):
        find(["nope"])


def test_command_fails_only_when_our_own_contestant_fails(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def store(*_: object) -> Path:
        return tmp_path

    monkeypatch.setattr("benchmarks.page.store", store)
    monkeypatch.setattr("benchmarks.__main__.facts", no_facts)
    machine.broken = "bare"
    assert main(["ask"]) == 0
    machine.broken = "ours"
    assert main(["ask"]) == 1
    assert main(["nope"]) == 2
