"""A server of tools that the tests start: over its input and output as a script, over HTTP from `mcp_stage`."""

import asyncio
import os
import signal
import sys

from mcp.server.mcpserver import MCPServer


def make_server(name: str = "calc") -> MCPServer:
    server = MCPServer(name, log_level="CRITICAL")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def process() -> int:
        """Tell the id of the process."""
        return os.getpid()

    @server.tool()
    def variables() -> list[str]:
        """Tell the environment variables."""
        return sorted(f"{name}={value}" for name, value in os.environ.items())

    @server.tool()
    def delete_all() -> str:
        """Delete everything."""
        return "deleted"

    @server.tool()
    async def hang(port: int) -> str:
        """Tell a port of this machine that the call has begun, wait for ever, and tell it of a cancellation."""
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{os.getpid()}\n".encode())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            writer.write(b"cancelled\n")
            writer.close()
            raise
        return ""

    return server


if __name__ == "__main__":
    if "--broken" in sys.argv:
        sys.exit(f"no licence for {os.environ.get('TOKEN', 'anybody')}")
    make_server().run("stdio")
    if "--stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pause()
