"""A web service with a pool inside: POST a question, get an answer; `python app.py` serves it."""

import os
from pathlib import Path

from fastapi import FastAPI, HTTPException

from actors import AgentPool
from actors.web import CancelOnDisconnect, health_routes, lifespan, serve

pool = AgentPool[None](Path(__file__).with_name("agents.yml"))
app = FastAPI(title="Understage", lifespan=lifespan(pool))
app.add_middleware(CancelOnDisconnect)
app.routes.extend(health_routes(pool))


@app.post("/ask/{node}")
async def ask(node: str, question: str) -> dict[str, str]:
    """Run a node of the pool once."""
    if node not in pool:
        raise HTTPException(404, f"there is no node {node!r}; there are {', '.join(pool)}")
    return {"answer": (await pool[node].run(question)).text}


if __name__ == "__main__":
    serve(app, port=int(os.environ.get("PORT", "8000")))
