"""What is said to the prompts of grow.yaml and of growing, where no model is asked."""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

SOLUTION = "```python\ndef solution(xs: list[int]) -> list[int]:\n    return xs[{n} - 1 :: {n}]\n```"
TOOL = '''```python
def every_nth(xs: list[int], n: int) -> list[int]:
    """Every n-th number of a list, beginning with the n-th."""
    return xs[n - 1 :: n]
```
```python
def solution(xs: list[int]) -> list[int]:
    return every_nth(xs, {n})
```'''
USE = "```python\ndef solution(xs: list[int]) -> list[int]:\n    return every_nth(xs, {n})\n```"


def answer(request: Any) -> str:
    """Solve; make a function of the first solution; use it in the second."""
    if "Say in one sentence" in request.text:
        return "The library has learned to take every n-th number of a list."
    n = 3 if "third" in request.text else 2
    if "Take out of it" in request.text:
        return TOOL.replace("{n}", str(n))
    return (USE if "every_nth" in request.text else SOLUTION).replace("{n}", str(n))


ANSWERS = answer
INPUTS = {"library": tempfile.mkdtemp(prefix="rookery-grown-")}


def tools(model: Any) -> list[Any]:
    """The tools that the workflow is given, asking this model."""
    spec = importlib.util.spec_from_file_location("growing_example", Path(__file__).parent / "growing.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return [module.growing(model)]
