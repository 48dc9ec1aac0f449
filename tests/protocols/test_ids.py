"""Identifiers: their form, and that nobody gets one twice."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

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


def test_an_id_is_128_random_bits_in_hexadecimal_digits() -> None:
    ids = several(0)

    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    assert all(len({one[at] for one in ids}) == 16 for at in range(32))  # every digit occurs at every place


def test_no_id_is_handed_out_twice_whatever_thread_asks() -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = [one for some in threads.map(several, range(16)) for one in some]

    assert len(set(ids)) == len(ids) == 16 * SEVERAL


def test_a_forked_process_gets_ids_of_its_own() -> None:
    ran = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True)

    parent_and_child = ran.stdout.split()
    assert len(set(parent_and_child)) == len(parent_and_child) == 200
