"""A web service with a pool inside: POST a question, get an answer; `python app.py` serves it."""

import os
from pathlib import Path

from fastapi import FastAPI, HTTPException

from actors import AgentPool
from actors.web import CancelOnDisconnect, health_routes, lifespan, serve
from protocols.errors import ApprovalError

pool = AgentPool[None](Path(__file__).with_name("agents.yml"))
app = FastAPI(title="Understage", lifespan=lifespan(pool))
app.add_middleware(CancelOnDisconnect)
app.routes.extend(health_routes(pool))


@app.post("/ask/{node}")
async def ask(node: str, question: str, session: str | None = None) -> dict[str, str]:
    """Run a node of the pool once. Each session has a memory of its own."""
    if node not in pool:
        raise HTTPException(404, f"there is no node {node!r}; there are {', '.join(pool)}")
    return {"answer": (await pool[node].run(question, session=session)).text}


@app.get("/approvals")
async def approvals() -> list[dict[str, str]]:
    """List the tool calls that wait for a person."""
    return [{"run": one.run_id, "tool": one.tool_name, "arguments": one.arguments} for one in pool.pending()]


@app.post("/approvals/{run}")
async def decide(run: str, allow: bool) -> None:
    """Approve or deny the tool calls of a run, which then goes on."""
    try:
        pool.approve(run) if allow else pool.deny(run)
    except ApprovalError as error:
        raise HTTPException(404, str(error)) from error


if __name__ == "__main__":
    serve(app, port=int(os.environ.get("PORT", "8000")))
