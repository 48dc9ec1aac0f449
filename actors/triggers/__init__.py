"""Triggers: what starts a run from outside. Most kinds need the extra ``triggers``; importing this does not."""

from __future__ import annotations

from actors.triggers.function_source import FunctionEvents, FunctionSettings, PollActor, poll, track
from actors.triggers.plan import TriggerChild, TriggerPlan, TriggerRequest, plan_triggers
from actors.triggers.prompt import format_prompt
from actors.triggers.source import Ready
from actors.triggers.trigger import Trigger, TriggerStatistics
from actors.triggers.webhook.signature import sign

__all__ = [
    "FunctionEvents",
    "FunctionSettings",
    "PollActor",
    "Ready",
    "Trigger",
    "TriggerChild",
    "TriggerPlan",
    "TriggerRequest",
    "TriggerStatistics",
    "format_prompt",
    "plan_triggers",
    "poll",
    "sign",
    "track",
]
