"""Identifiers: their form, and that nobody gets one twice."""

import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from protocols.ids import new_id

SEVERAL = 1_000

FORKING = """
import os
from protocols.ids import new_id

new_id()
child = os.fork()
os.write(1, "".join(f"{new_id()} " for _ in range(100)).encode())
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""


def several(_number: int) -> list[str]:
    return [new_id() for _ in range(SEVERAL)]


def test_an_id_is_a_uuid_of_version_7_with_62_random_bits() -> None:
    before = (
        time.time_ns() // 1_000_000 - 1_000
    )  # the time is that of a block of ids, which an earlier test may have begun
    ids = [uuid.UUID(one) for one in several(0)]
    after = time.time_ns() // 1_000_000
    digits = [one.hex for one in ids]

    assert {one.version for one in ids} == {7}
    assert {one.variant for one in ids} == {uuid.RFC_4122}
    assert all(before <= one.int >> 80 <= after for one in ids[256:])
    assert all(len({one[at] for one in digits}) == 16 for at in range(17, 32))
    assert {one[16] for one in digits} == set("89ab")


def test_ids_grow_in_the_order_of_their_making(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = count(1_700_000_000_000_000_000, 1_000_000)
    monkeypatch.setattr("protocols.ids.time.time_ns", lambda: next(seconds))
    monkeypatch.setattr("protocols.ids._ready", [])
    ids = several(0)

    assert ids == sorted(ids)


def test_no_id_is_handed_out_twice_whatever_thread_asks() -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = [one for some in threads.map(several, range(16)) for one in some]

    assert len(set(ids)) == len(ids) == 16 * SEVERAL


def test_a_forked_process_gets_ids_of_its_own() -> None:
    ran = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True)

    parent_and_child = ran.stdout.split()
    assert len(set(parent_and_child)) == len(parent_and_child) == 200
