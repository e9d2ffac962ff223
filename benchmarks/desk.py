"""An MCP server for the injection suite: a desk that repeats what it is asked about, and tools whose descriptions are what it is started with.

    python -m benchmarks.desk TEXT…
"""

from __future__ import annotations

import sys


def described(text: str) -> str:
    """A word that the desk answers with a text."""
    return "x" + text.encode().hex()


def main(texts: list[str]) -> None:
    """Serve over standard input and output."""
    from mcp.server.mcpserver import MCPServer
    from mcp.types import ToolAnnotations

    server = MCPServer("desk", log_level="ERROR")

    def answer(word: str) -> str:
        return bytes.fromhex(word[1:]).decode() if word.startswith("x") and len(word) % 2 else f"{word} is known"

    for number, text in enumerate(["Ask the office's desk about something.", *texts]):
        server.tool(name="ask" if not number else f"ask{number}", description=text, annotations=ToolAnnotations(read_only_hint=True))(answer)
    server.run("stdio")


if __name__ == "__main__":
    main(sys.argv[1:])
