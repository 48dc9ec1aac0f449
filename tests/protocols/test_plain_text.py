"""Numbers of bytes as people read them."""

import pytest

from protocols.plain_text import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1_500_000, "1.4 MiB"),
        (64 << 20, "64 MiB"),
        (5 << 30, "5 GiB"),
        (1 << 60, "1,073,741,824 GiB"),
    ],
)
def test_a_size_is_read_in_the_largest_unit_that_fits(size: int, text: str) -> None:
    assert size_text(size) == text
