"""Names of spans, attributes and span events.

The names that begin with ``gen_ai`` are those of the semantic conventions of OpenTelemetry for generative AI, version
1.44.0. All of them have the status "development": later versions may rename them.
"""

from typing import Final

INVOKE_AGENT: Final = "invoke_agent"
INVOKE_WORKFLOW: Final = "invoke_workflow"
ACCEPT: Final = "accept"
"""A durable node has kept a run of a caller without a trace."""

OPERATION: Final = "gen_ai.operation.name"
AGENT_NAME: Final = "gen_ai.agent.name"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
CALL_ID: Final = "gen_ai.agent.call.id"
"""The run, as pydantic-ai calls it in the spans of models and tools."""
CONVERSATION: Final = "gen_ai.conversation.id"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
INPUT_TOKENS: Final = "gen_ai.aggregated_usage.input_tokens"
"""Tokens of a whole run, as pydantic-ai calls them: those of each request are in the spans of models."""
OUTPUT_TOKENS: Final = "gen_ai.aggregated_usage.output_tokens"
ERROR_TYPE: Final = "error.type"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"

RUN_ID: Final = "understage.run.id"
PARENT_RUN_ID: Final = "understage.run.parent_id"
MAILBOX_WAIT: Final = "understage.mailbox.wait"
"""Seconds between sending the request and the begin of the run."""
INCARNATION: Final = "understage.actor.incarnation"
ATTEMPT: Final = "understage.delivery.attempt"
"""Above 0: the run of a durable node is delivered again."""
ACTOR: Final = "understage.actor.name"
REASON: Final = "understage.reason"

CANCELLED: Final = "cancelled"
CRASH: Final = "crash"
RESTART: Final = "restart"
RETRY: Final = "retry"
DEAD_LETTER: Final = "dead letter"
OVERFLOW: Final = "mailbox overflow"
EXCEPTION: Final = "exception"
