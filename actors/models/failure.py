"""Advice for requests to a model that failed."""

from urllib.parse import urlsplit

from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models import Model

_NOT_FOUND = 404


def advise(error: Exception, model: Model) -> None:
    """Add to the error of a request what the user can do about it."""
    if not isinstance(error, ModelHTTPError) or error.status_code != _NOT_FOUND:
        return
    host = urlsplit(model.base_url or "").hostname
    if type(model).__name__ == "OpenAIResponsesModel" and host != "api.openai.com":
        name = model.model_name
        text = f"{host} may know only chat completions, not the responses API: use 'openai-chat:{name}'"
        error.add_note(text)
