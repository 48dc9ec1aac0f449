"""What every test runs under: no test may reach a real model."""

import sys

import pytest

_MODELS = "pydantic_ai.models"


@pytest.fixture(autouse=True)
def no_model_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbid requests to real models, without importing pydantic_ai for tests that do not use it."""
    if _MODELS in sys.modules:
        monkeypatch.setattr(f"{_MODELS}.ALLOW_MODEL_REQUESTS", False)
