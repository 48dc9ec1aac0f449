from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.triggers.files.burst import MOST_DELAYED, MOST_LISTED, FileBurst
from protocols.triggers import ChangeKind, FileChange


def merged(*kinds: ChangeKind) -> tuple[FileChange, ...]:
    burst = FileBurst(1.0)
    for kind in kinds:
        burst.add(kind, "a", now=0.0)
    return burst.take()[0]


def test_changes_of_one_file_are_one_change() -> None:
    assert merged("added", "modified", "modified") == (FileChange("added", "a"),)
    assert merged("modified", "deleted") == (FileChange("deleted", "a"),)
    assert merged("deleted", "added") == (FileChange("modified", "a"),)
    assert merged("added", "deleted") == ()
    assert merged("added", "deleted", "added") == (FileChange("added", "a"),)


def test_a_burst_is_due_when_it_has_been_quiet() -> None:
    burst = FileBurst(1.0)
    dues = [burst.due]

    burst.add("added", "a", now=5.0)
    burst.add("added", "b", now=5.7)
    dues.append(burst.due)

    assert [change.path for change in burst.take()[0]] == ["a", "b"]
    assert [*dues, burst.due] == [None, 6.7, None]


def test_a_burst_that_does_not_end_is_due_all_the_same() -> None:
    burst = FileBurst(1.0)

    for tenth in range(1_000):
        burst.add("modified", "log", now=tenth / 10)

    assert burst.due == MOST_DELAYED * 1.0


def test_a_huge_burst_lists_some_files_and_counts_the_rest() -> None:
    burst = FileBurst(1.0)
    for number in range(MOST_LISTED + 5):
        burst.add("added", f"{number:05}", now=0.0)
        burst.add("modified", f"{number:05}", now=0.0)

    changes, omitted = burst.take()

    assert (len(changes), omitted) == (MOST_LISTED, 5)


@given(st.lists(st.tuples(st.sampled_from(["added", "modified", "deleted"]), st.sampled_from("abc")), max_size=20))
def test_the_last_state_of_each_file_is_told(steps: list[tuple[ChangeKind, str]]) -> None:
    burst = FileBurst(1.0)
    for kind, path in steps:
        burst.add(kind, path, now=0.0)

    told = {change.path: change.kind for change in burst.take()[0]}

    for path in "abc":
        kinds = [kind for kind, name in steps if name == path]
        if path in told:
            assert (told[path] == "deleted") is (kinds[-1] == "deleted")
        elif kinds:
            assert kinds[-1] == "deleted"
