"""The spans of requests to models and of tool calls, which are those of pydantic-ai."""

from typing import Any

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import TracerProvider
from pydantic_ai import RunContext
from pydantic_ai.capabilities import Instrumentation, WrapRunHandler
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.run import AgentRunResult


class ModelInstrumentation(Instrumentation):
    """Makes spans inside a run. The span of the run itself is that of its node, whose ids are in the baggage."""

    @classmethod
    def of(cls, provider: TracerProvider, *, content: bool) -> "ModelInstrumentation":
        """Return the capability for all agents of a pool."""
        settings = InstrumentationSettings(
            tracer_provider=provider,
            meter_provider=NoOpMeterProvider(),
            include_content=content,
            include_binary_content=False,
            include_model_request_parameters=content,
            version=5,
        )
        return cls(settings=settings, id="understage")  # the user may have one as well

    async def wrap_run(self, ctx: RunContext[Any], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """Make no span."""
        return await handler()
