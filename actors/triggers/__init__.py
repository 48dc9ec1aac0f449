"""Triggers: what starts a run from outside. Most types need the extra ``triggers``; importing this does not."""

from actors.config.trigger import FunctionSettings
from actors.triggers.function_source import FunctionEvents, PollActor, poll, track
from actors.triggers.plan import TriggerPlan, plan_triggers
from actors.triggers.prompt import format_prompt
from actors.triggers.source import Ready, TriggerSource
from actors.triggers.trigger import Trigger, TriggerStatistics
from actors.triggers.trigger_type import BuildContext, SourceSpec, TriggerChild, TriggerRequest, TriggerType
from actors.triggers.webhook.signature import sign

__all__ = [
    "BuildContext", "FunctionEvents", "FunctionSettings", "PollActor", "Ready", "SourceSpec", "Trigger", "TriggerChild",
    "TriggerPlan", "TriggerRequest", "TriggerSource", "TriggerStatistics", "TriggerType", "format_prompt",
    "plan_triggers", "poll", "sign", "track",
]  # fmt: skip
