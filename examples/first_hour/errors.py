"""Task 9: errors that offer a way out."""

from typing import Any

from actors import Agent

reader = Agent("reader", model="offline", system_prompt="One sentence.")


def ask(prompt: str, **options: Any) -> None:
    """Print the error of a run."""
    try:
        reader.run_sync(prompt, **options)
    except (ValueError, TypeError) as error:
        print(f"{type(error).__name__}: {str(error).splitlines()[0]}")


ask("Hello", model="opnai:gpt-4.1-mini")
ask("")
ask("Hello", tiemout=3)
