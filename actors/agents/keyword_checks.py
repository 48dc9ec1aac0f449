"""What each setting of an agent may hold; see `actors.agents.settings` for what it means."""

from collections.abc import Mapping
from inspect import iscoroutinefunction

from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.usage import UsageLimits

from actors.runs.keywords import MODEL, OUTPUT, TOOLS
from protocols.checks import FAILURES, FLAG, SECONDS, TEXT, Kind, choice, kind, series, whole

AGENT_KINDS: Mapping[str, Kind] = {
    "model": MODEL,
    "output_type": OUTPUT,
    "deps_type": Kind("a type", lambda value: not isinstance(value, str | bytes | int | float)),
    "system_prompt": Kind(
        "text, a function, or a list of them", lambda value: isinstance(value, str | list | tuple) or callable(value)
    ),
    "tools": TOOLS,
    "description": TEXT,
    "display_name": TEXT,
    "instructions": Kind(
        "text, a function, or a list of them", lambda value: isinstance(value, str | list | tuple) or callable(value)
    ),
    "toolsets": series("a list of toolsets", lambda value: isinstance(value, AbstractToolset)),
    "mcp_servers": series("a list of servers", lambda _: True),
    "knowledge": series("a list of texts, paths and objects", lambda _: True),
    "user_prompts": series("a list of texts, paths and objects", lambda _: True),
    "retries": whole(0),
    "output_retries": whole(0),
    "tool_timeout": SECONDS,
    "end_strategy": choice("early", "graceful", "exhaustive"),
    "history_limit": whole(1),
    "summary": Kind("a plain function", lambda value: callable(value) and not iscoroutinefunction(value)),
    "model_settings": kind("a dict of settings", Mapping),
    "usage_limits": kind("UsageLimits", UsageLimits),
    "capabilities": series("a list of capabilities", lambda value: isinstance(value, AbstractCapability)),
    "input_provider": Kind("'console' or a function", lambda value: value == "console" or callable(value)),
    "requires_tool_confirmation": choice("per_tool", "always", "never"),
    "max_concurrency": whole(1),
    "timeout": SECONDS,
    "parallel_init": FLAG,
    "crash_on": FAILURES,
}
