"""Task 4: an agent."""

from actors import Agent

reader = Agent("reader", model="offline", system_prompt="One sentence.")
print(reader.run_sync("Cats sleep for many hours of every day. Dogs do not.").content)
