"""The composition root: it puts the rooms together. The command line, and the facade for `AgentPool`, import it."""

from actors.agents.manifest.imports import make_importable
from actors.app.application import App, open_app
from actors.app.history_service import HistoryService
from actors.app.log_setup import configure_logging
from actors.app.manifest_check import check_manifest, check_models, with_model
from actors.app.pool import AgentPool
from actors.app.presentation import answer_fields, readable
from actors.app.stats_service import StatsService
from actors.app.store_paths import history_stores, retention_of
from actors.app.trigger_service import TriggerAnswer, TriggerService

__all__ = [
    "AgentPool", "App", "HistoryService", "StatsService", "TriggerAnswer", "TriggerService", "answer_fields",
    "check_manifest", "check_models", "configure_logging", "history_stores", "make_importable", "open_app", "readable",
    "retention_of", "with_model",
]  # fmt: skip
