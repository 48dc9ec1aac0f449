"""Task 8: a chain."""

from actors import Agent

chain = Agent("reader", model="offline", system_prompt="One sentence.") | str.upper
message = chain.run_sync("Cats sleep for many hours of every day. Dogs do not.")
print(message.content)
print(", ".join(answer.name for answer in message.associated_messages))
