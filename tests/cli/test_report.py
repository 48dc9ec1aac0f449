"""The numbers at the end of a run."""

from actors.cli.report import as_data, report, rows
from actors.stats.projection import Projection
from protocols.events import ChildRestarted, EventsDropped, MessageSent, RunCompleted, RunFailed, RunStarted


def book() -> Projection:
    made = Projection()
    for event in (
        RunStarted(actor="team", run_id="0"),
        RunStarted(actor="a", run_id="1", parent_run_id="0"),
        MessageSent(actor="a", run_id="1", input_tokens=1200, output_tokens=34, response_time=0.5),
        RunCompleted(actor="a", run_id="1"),
        ChildRestarted(actor="pool", child="b"),
        MessageSent(actor="b", run_id="2", output_tokens=6, response_time=0.25),
        MessageSent(actor="team", run_id="0", composed=True),
    ):
        made.add(event)
    return made


def test_the_table_has_a_line_per_agent_and_their_sum() -> None:
    lines = report(book().snapshot(), ["a", "b", "idle", "team"]).splitlines()

    assert [line.split() for line in lines] == [
        ["agent", "messages", "tokens", "time", "restarts"],
        ["a", "1", "1,234", "0.50", "s", "0"],
        ["b", "1", "6", "0.25", "s", "1"],
        ["total", "2", "1,240", "0.75", "s", "1"],
    ]


def test_one_agent_needs_no_sum() -> None:
    assert "total" not in report(book().snapshot(), ["a"])


def test_a_team_shows_up_only_when_something_happened_to_it() -> None:
    made = book()
    assert [node.name for node in rows(made.snapshot(), ["team"])] == []
    made.add(ChildRestarted(actor="pool", child="team"))

    assert [node.name for node in rows(made.snapshot(), ["team"])] == ["team"]


def test_a_failed_agent_is_listed_although_it_sent_nothing() -> None:
    made = Projection()
    made.add(RunFailed(actor="a", run_id="1"))

    assert report(made.snapshot(), ["a"]).splitlines()[1].split()[0] == "a"


def test_nothing_to_report_is_an_empty_text() -> None:
    assert report(Projection().snapshot(), ["a", "b"]) == ""


def test_lost_events_are_said() -> None:
    made = book()
    made.add(EventsDropped(subscriber="stats", count=3))

    assert "3 events were lost" in report(made.snapshot(dropped_events=3), ["a"])


def test_the_data_holds_the_same_numbers() -> None:
    data = {row["name"]: row for row in as_data(book().snapshot(), ["a", "b", "idle"])}

    assert data.keys() == {"a", "b"}
    assert (data["a"]["input_tokens"], data["a"]["output_tokens"], data["b"]["restarts"]) == (1200, 34, 1)
