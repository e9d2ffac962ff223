"""The examples as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import rookery

EXAMPLES = Path(rookery.__file__).parents[1] / "examples"


def loaded(name: str) -> ModuleType:
    """An example, as it would be when it is run."""
    spec = importlib.util.spec_from_file_location(f"rookery_program_test_{name.replace('/', '_')}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
