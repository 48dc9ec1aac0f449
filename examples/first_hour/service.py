"""Task 24: a service with health and errors. In production: `actors.web.serve(app)`."""

from fastapi import FastAPI
from starlette.testclient import TestClient

from actors import AgentPool
from actors.config.load import parse_manifest
from actors.web import error_handlers, health_routes, lifespan

pool = AgentPool(parse_manifest("agents: {helper: {model: offline, session: false}}"))
app = FastAPI(lifespan=lifespan(pool), exception_handlers=error_handlers())
app.routes.extend(health_routes(pool))


@app.post("/ask/{node}")
async def ask(node: str, question: str) -> dict[str, str]:
    """Run a node of the pool once."""
    return {"answer": (await pool[node].run(question)).text}


with TestClient(app, base_url="http://localhost") as client:
    ready = client.get("/health/ready")
    print(ready.status_code, ready.json()["status"])
    for node, question in (("helpr", "Hello"), ("helper", " ")):
        told = client.post(f"/ask/{node}", params={"question": question})
        print(told.status_code, told.json()["title"])
