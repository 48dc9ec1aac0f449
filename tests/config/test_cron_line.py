from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.config.cron_line import WORDS, cron_fields
from actors.config.load import parse_manifest
from protocols.errors import ManifestError

GOOD = [
    "* * * * *", "*/5 1-3,7 1,15 JAN-MAR/2 mon-fri", "0 0 L * *", "0 0 LW * 5L", "0 9 * * 1#2", "*/20 * * * * *",
    " @daily ", "0 0 * * 7", "5/15 * * * *", "0 0 30 2 *",
]  # fmt: skip
BAD = {
    "": "fields", "* * * *": "fields", "* * * * * * *": "fields", "@reboot": "fields", "1," * 1_000: "too long",
    "61 * * * *": "minute", "* 24 * * *": "hour", "* * 0 * *": "day-of-month", "* * * 13 *": "month",
    "* * * * 8": "day-of-week", "*/0 * * * *": "minute", "5-1 * * * *": "minute", "* * * * MON-XYZ": "day-of-week",
    "0 0 * * \u0661": "day-of-week", "1,,2 * * * *": "minute", "0 0 * * FRIL": "day-of-week",
    "* * * * 1#6": "day-of-week", "60 * * * * *": "second", f"{'1/' * 490}1 * * * *": "minute",
}  # fmt: skip
PART = st.sampled_from(
    ["*", "0", "1", "7", "12", "31", "59", "60", "JAN", "sun", "L", "LW", "5L", "SUNL", "1#2", "SUN#2", "x", ""]
)


def term(part: str, end: str, step: str) -> str:
    return part + (f"-{end}" if end else "") + (f"/{step}" if step else "")


TERM = st.builds(term, PART, st.sampled_from(["", "", "5", "DEC"]), st.sampled_from(["", "", "2", "0"]))
FIELD = st.lists(TERM, min_size=1, max_size=2).map(",".join)


@pytest.mark.parametrize("line", [*GOOD, *WORDS])
def test_a_cron_line_is_one(line: str) -> None:
    assert cron_fields(line) == WORDS.get(line.strip(), line.strip())


@pytest.mark.parametrize("line", BAD)
def test_what_is_wrong_with_a_line_is_said(line: str) -> None:
    with pytest.raises(ValueError, match=f"expected a cron line such as .*{BAD[line]}"):
        cron_fields(line)


@settings(max_examples=500)
@given(st.lists(FIELD, min_size=5, max_size=6).map(" ".join))
def test_the_lines_that_are_accepted_are_those_of_which_the_times_can_be_computed(line: str) -> None:
    try:
        CronSim(line, datetime(2024, 1, 1, tzinfo=UTC))
    except (CronSimError, AssertionError):
        with pytest.raises(ValueError, match="expected a cron line"):
            cron_fields(line)
    else:
        assert cron_fields(line) == line


def test_a_bad_line_in_a_manifest_is_named_with_its_place() -> None:
    text = 'agents:\n  a:\n    triggers:\n      - {type: time, name: t, schedule: "61 * * * *", prompt: go}\n'

    with pytest.raises(ManifestError, match=r":4: agents\.a\.triggers\[0\]\.schedule: .*Bad minute.*'61"):
        parse_manifest(text)
