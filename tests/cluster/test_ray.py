"""Ray as the engine of a cluster, in a network of its own that has loopback only; see `ray_suite.py`."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from actors import AgentPool
from actors.app.ray_service import RayService
from actors.cluster.ray_placement import place_hosts
from actors.config.cluster import ClusterSpec
from protocols.errors import ManifestError
from protocols.journal import JournalError
from tests.storage.postgres_server import REQUIRED

SUITE = Path(__file__).parent / "ray_suite.py"
ALONE = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c")
PATIENCE = 2_400.0
RAY = {"engine": "ray", "url": "postgresql://u:hidden@h/d"}
has_ray = importlib.util.find_spec("ray") is not None


def may_be_alone() -> bool:
    """Return True if this user may make a network that has loopback only."""
    try:
        return subprocess.run([*ALONE, "ip link set lo up"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def run_suite(*options: str) -> str:
    """Run the tests of `ray_suite.py` in a network of their own, and return what they say; or skip."""
    if not has_ray and os.environ.get(REQUIRED) != "1":
        pytest.skip("Ray is not installed")
    if not may_be_alone():
        pytest.skip("no right to make a network namespace")
    with TemporaryDirectory(prefix="ray") as folder:  # short: a socket's path has at most 107 characters
        tests = shlex.join([sys.executable, "-m", "pytest", "-q", "-x", "-W", "default", *options, f"{SUITE}"])
        settings = {"RAY_TMPDIR": folder, "HOME": folder, "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
        done = subprocess.run(
            [*ALONE, f"ip link set lo up; {tests}; exit $?"], check=False, capture_output=True, text=True,
            timeout=PATIENCE, cwd=SUITE.parent.parent.parent, env={**os.environ, **settings},
        )  # fmt: skip

    assert done.returncode == 0, f"{done.stdout[-6_000:]}\n{done.stderr[-3_000:]}"
    return done.stdout


def test_the_engine_ray_in_a_network_of_its_own() -> None:
    run_suite()


@pytest.mark.soak
def test_many_deaths_of_the_hosts_of_ray() -> None:
    print(run_suite("-m", "soak", "-s"))  # noqa: T201 - the figures of docs/cluster.md


@pytest.mark.skipif(not has_ray, reason="Ray is not installed")
async def test_a_ray_that_is_not_there_is_told_at_once() -> None:
    spec = ClusterSpec.of({**RAY, "address": "127.0.0.1:1"})
    with pytest.raises(JournalError, match=r"cluster 'shop': Ray at '127.0.0.1:1' cannot be used: .*refused"):
        place_hosts(spec, "shop", object)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(JournalError, match=r"needs ray, which is not installed; .* pip install 'understage\[ray\]'"):
        place_hosts(ClusterSpec.of(RAY), "shop", object)


async def test_hosts_of_ray_need_a_manifest_in_a_file() -> None:
    pool: AgentPool[None] = AgentPool(cluster=RAY, services=[RayService])
    with pytest.raises(ManifestError, match="needs a manifest in a file"):
        await pool.__aenter__()
