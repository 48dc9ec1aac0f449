"""What every test runs under: no test may reach a real model, and none fails because the machine is busy."""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = [
    "actors.testing.fixtures",
    "tests.acceptance_table",
    "tests.conformance_table",
    "tests.storage.postgres_server",
]

_MODELS = "pydantic_ai.models"

settings.register_profile("understage", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("understage")


@pytest.fixture(autouse=True)
def no_model_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbid requests to real models, without importing pydantic_ai for tests that do not use it.

    A test that is the first to import it finds no key, which forbids the same.
    """
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    if _MODELS in sys.modules:
        monkeypatch.setattr(f"{_MODELS}.ALLOW_MODEL_REQUESTS", False)
