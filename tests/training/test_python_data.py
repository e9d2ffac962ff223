"""The Python model's data recipe: splits by package, shortened files, copies told from one another."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.decoding_sites import SKETCH, Trained
from training.python.data import SPLITS, Source, capped, packages, shingles, shortened, sketch, without_duplicates

CODE = "\n".join(f"def function_{i}(argument):\n    return argument.member_{i}()" for i in range(30)) + "\n"
OTHER = "\n".join(f"class Thing{i}:\n    value = {i}" for i in range(30)) + "\n"


def short(text: str) -> str:
    return shortened(text, ast.parse(text))


def test_each_package_is_in_one_split_under_a_licence_that_is_named() -> None:
    listed = packages()
    assert {package.split for package in listed} == set(SPLITS)
    assert max(Counter(package.package for package in listed).values()) == 1
    assert all(package.version and package.licence for package in listed)
    assert not any(word in package.licence for package in listed for word in ("GPL", "MPL", "Proprietary"))
    assert [package.split for package in listed] == sorted((package.split for package in listed), key=SPLITS.index), "held-out packages first"
    assert {"requests", "rich", "networkx"} <= {package.package for package in listed if package.split == "test"}


def test_of_a_docstring_the_first_line_stays_and_the_licence_goes() -> None:
    text = '# Copyright\n\n"""Module.\n\nMore.\n"""\nimport os\n\n\ndef f(x):\n    """\n    Does it.\n\n    Args: x\n    """\n    return x.y\n'
    found = short(text)
    assert found == '"""Module."""\nimport os\n\n\ndef f(x):\n    """Does it."""\n    return x.y\n'
    ast.parse(found)
    one_line = 'def f():\n    """One line."""\n    x = """a\n    b"""\n'
    assert short(one_line) == one_line, "strings that are no docstrings stay"


def test_copies_are_left_out_and_held_out_packages_keep_theirs() -> None:
    near = CODE.replace("member_3", "member_three") + "x = 1\n"
    files = [Source("held", "test", "a.py", CODE), Source("train", "train", "copy.py", CODE), Source("train", "train", "near.py", near),
             Source("train", "train", "other.py", OTHER)]
    kept = list(without_duplicates(iter(files)))
    assert [(file.package, file.path) for file in kept] == [("held", "a.py"), ("train", "other.py")]
    assert capped(kept) == capped(list(kept)), "the same draw each time"


def test_a_sketch_tells_a_copy_from_another_file(tmp_path: Path) -> None:
    path = tmp_path / "trained.npy"
    np.save(path, np.array([sketch(short(CODE))], np.uint32))
    trained = Trained(path)
    commented = CODE.replace("argument.member_5()", "argument.member_5()  # a comment")
    assert trained.has(CODE, ast.parse(CODE)) and trained.has(commented, ast.parse(commented))
    assert not trained.has(OTHER, ast.parse(OTHER))
    assert len(shingles("")) == 1
    assert not Trained(tmp_path / "nothing.npy").has(CODE, ast.parse(CODE))


def test_the_list_of_what_was_trained_on_is_there() -> None:
    assert Trained(SKETCH).count > 9000
