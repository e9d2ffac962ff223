"""The example that goes on with code: the demo writes a name that exists, and places that are none are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rookery.models.embedded import WEIGHTS
from tests.examples import loaded
from tests.test_examples import example

code = loaded("complete_code")


@pytest.mark.skipif(not (WEIGHTS / "python").exists(), reason="the weights are not in this checkout")
def test_with_the_monitor_the_name_exists() -> None:
    done = example("complete_code.py")
    assert done.returncode == 0, done.stderr
    without, with_monitor = done.stdout.splitlines()
    assert without.startswith("without the monitor: cart.")
    name = re.search(r"^with the monitor: cart\.(\w+)", with_monitor)
    assert name is not None and name[1] in ("articles", "put", "sum_of_prices")


def test_a_place_is_the_last_dot_of_a_line(tmp_path: Path) -> None:
    file = tmp_path / "package" / "module.py"
    file.parent.mkdir()
    file.write_text("import os\n\nprint(os.path.join(os.curdir, 'a'))\nx = {1: 2}\n")
    place = code.place_of(f"{file}:3", str(tmp_path))
    assert (place.project, place.file) == (str(tmp_path.resolve()), "package/module.py")
    assert place.before == "import os\n\nprint(os.path.join(os." and place.after == "\nx = {1: 2}\n"
    assert code.place_of(f"{file}:3", "").file == "module.py"
    assert code.plain(place.after) == "\nx = {{1: 2}}\n"


@pytest.mark.parametrize(("place", "said"), [("x", "no place"), ("nothing.py:3", "no place"), ("{file}:2", "no dot"), ("{file}:99", "no dot"),
                                             ("{file}:x", "no place")])
def test_what_is_no_place_is_named(tmp_path: Path, place: str, said: str) -> None:
    file = tmp_path / "module.py"
    file.write_text("import os\nx = 1\nos.curdir\n")
    with pytest.raises(ValueError, match=said):
        code.place_of(place.format(file=file), "")
    with pytest.raises(ValueError, match="--project"):
        code.place_of(f"{file}:3", str(tmp_path / "other"))
