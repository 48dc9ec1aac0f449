"""Task 5: an answer of a type."""

from pydantic import BaseModel

from actors import Agent


class City(BaseModel):
    """What is asked for."""

    name: str
    people: int


geo = Agent("geo", model="test", output_type=City)
print(geo.run_sync("Where is the tower?").content)
