"""The front of the folder: what it names is there, and naming one thing loads no other's packages."""

from __future__ import annotations

import subprocess
import sys

import rookery.tools
from rookery.tools import _AT_FIRST_USE


def test_what_it_names_is_there() -> None:
    assert rookery.tools.__all__ == sorted(rookery.tools.__all__) == sorted(name for names in _AT_FIRST_USE.values() for name in names)
    for name in rookery.tools.__all__:
        assert getattr(rookery.tools, name) is not None


def test_nothing_heavy_is_loaded_before_it_is_used() -> None:
    code = (
        "import sys\nfrom rookery.tools import McpServer, openapi_tools, package_tools, web_tool, file_tools, calculate, gated, allow\n"
        "McpServer('x', command=['y'])\nweb_tool(['example.org'])\n"
        "print([name for name in ('mcp', 'httpx', 'httpx2', 'jsonschema', 'yaml', 'uvicorn', 'starlette', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
