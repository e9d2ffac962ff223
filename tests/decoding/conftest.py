"""One analyser of the small project for all tests of monitors: starting one takes a second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rookery.decoding.analyser import SupervisedAnalyser
from rookery.decoding.jedi_analyser import Jedi
from tests.decoding.project import written


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def jedi(project: Path) -> Iterator[SupervisedAnalyser]:
    analyser = Jedi(str(project), hang_s=60)()
    yield analyser
    asyncio.run(analyser.aclose())
