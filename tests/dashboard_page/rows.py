"""Rows of the feed as the contract describes them; a test names the fields it is about."""

from __future__ import annotations

import time
from typing import Any

Row = dict[str, Any]
NOW = time.time()


def pool_row(**fields: Any) -> Row:
    return {
        "name": "briefing",
        "pid": 4711,
        "version": "0.1.0",
        "since": NOW - 3600,
        "status": "ready",
        "trouble": "",
        "dropped_events": 0,
        "actors": 3,
        "has_storage": True,
        "has_journal": True,
        "can_act": True,
        **fields,
    }


def actor_row(name: str, parent: str = "", **fields: Any) -> Row:
    return {
        "parent": parent,
        "name": name,
        "type": "NodeActor",
        "state": "running",
        "incarnation": 1,
        "restarts": 0,
        "depth": 0,
        "oldest_age": 0.0,
        "in_flight": 0,
        "handled": 10,
        "failed": 0,
        "kept": 0,
        "last_failure": "",
        "node": name,
        **fields,
    }


def run_row(node: str, parent: str = "", **fields: Any) -> Row:
    return {
        "parent": parent,
        "node": node,
        "kind": "agent",
        "state": "running",
        "started": NOW - 75,
        "conversation": "c-1",
        "step": "model gpt-x",
        "input_tokens": 1200,
        "output_tokens": 340,
        "cost": "0.0123",
        "cost_known": True,
        **fields,
    }


def node_row(**fields: Any) -> Row:
    return {
        "kind": "agent",
        "model": "gpt-x",
        "runs": 12,
        "failed": 0,
        "cancelled": 0,
        "messages": 40,
        "input_tokens": 1200,
        "output_tokens": 340,
        "cost": "0.0123",
        "cost_known": True,
        "budget": "",
        "members": [],
        **fields,
    }


def link_row(source: str, target: str, **fields: Any) -> Row:
    return {
        "source": source,
        "target": target,
        "kind": "connection",
        "queued": 0,
        "passed": 10,
        "failed": 0,
        "last": NOW - 5,
        **fields,
    }


def failure_row(node: str, **fields: Any) -> Row:
    return {
        "at": NOW - 100,
        "node": node,
        "error_type": "ModelError",
        "error": "the model gave no answer",
        "duration": 2.5,
        "conversation": "c-1",
        **fields,
    }


def letter_row(target: str, **fields: Any) -> Row:
    return {
        "at": NOW - 50,
        "target": target,
        "sender": "reader",
        "message_type": "RunRequest",
        "reason": "stopped",
        "age": 1.5,
        "text": "what is new?",
        "error": "",
        "can_replay": True,
        "replays": 0,
        **fields,
    }


def blocked_row(**fields: Any) -> Row:
    return {"at": NOW - 40, "duration": 0.25, "where": "tools.py:12 in search", **fields}


def trigger_row(node: str, name: str, **fields: Any) -> Row:
    return {
        "node": node,
        "name": name,
        "kind": "schedule",
        "state": "running",
        "next": NOW + 60,
        "last": NOW - 60,
        "event": "it is time",
        "accepted": 5,
        "run": 4,
        "failed": 1,
        "can_fire": True,
        "last_failure": "",
        **fields,
    }


def approval_row(run: str, call: str, **fields: Any) -> Row:
    return {
        "run": run,
        "call": call,
        "node": "writer",
        "tool": "delete_file",
        "arguments": '{"path": "a.md"}',
        "since": NOW - 30,
        **fields,
    }


def cost_row(node: str, at: float, **fields: Any) -> Row:
    return {
        "at": at,
        "node": node,
        "model": "gpt-x",
        "input_tokens": 100,
        "output_tokens": 20,
        "cost": "0.0100",
        **fields,
    }


def log_row(text: str, **fields: Any) -> Row:
    return {
        "at": NOW - 10,
        "kind": "RunStarted",
        "node": "writer",
        "text": text,
        "run": "r-1",
        "level": "info",
        **fields,
    }


def message_row(text: str, **fields: Any) -> Row:
    return {
        "at": NOW - 20,
        "node": "writer",
        "role": "assistant",
        "text": text,
        "tool_calls": [],
        "model": "gpt-x",
        "input_tokens": 100,
        "output_tokens": 20,
        "cost": "0.01",
        **fields,
    }
