"""The escape suite on every rung, as this user and as an ordinary one; that its observers see escapes; and programs that do no harm."""

from __future__ import annotations

import os

import pytest

from rookery.tools.bubblewrap import Bubblewrap
from rookery.tools.ladder import best_sandbox
from rookery.tools.monty import Monty
from tests.boxes import needs_bubblewrap
from tests.tools.attacks import ATTACKS
from tests.tools.escape import attempt
from tests.tools.harmless import HARMLESS, affected
from tests.tools.ordinary import attempt_as_user, interpreter

RUNGS = ["monty", pytest.param("bubblewrap", marks=needs_bubblewrap)]
QUICK = [attack for number, attack in enumerate(ATTACKS) if number % 6 == 0]
"""What every test run tries; the slow tests try all."""


def test_there_are_enough_of_them() -> None:
    assert len(ATTACKS) >= 80 and len(HARMLESS) >= 100
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


async def test_the_observers_see_escapes() -> None:
    """Without a sandbox each attack that does no harm must be seen, or seeing nothing would say nothing."""
    controls = [attack for attack in ATTACKS if attack.control]
    told = await attempt("none", controls)
    assert len(controls) >= 40
    assert not [attack.name for attack in controls if attack.name not in told["escapes"]]


@pytest.mark.parametrize("rung", RUNGS)
async def test_some_attacks(rung: str) -> None:
    told = await attempt(rung, QUICK)
    assert told["escapes"] == {}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("rung", RUNGS)
async def test_all_attacks(rung: str) -> None:
    told = await attempt(rung)
    assert told["attacks"] >= 80 and told["escapes"] == {}


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(os.geteuid() != 0 or not interpreter(), reason="needs root, and a Python of this version that others may run")
@pytest.mark.parametrize("rung", RUNGS)
def test_all_attacks_as_an_ordinary_user(rung: str) -> None:
    told = attempt_as_user(rung)
    assert told["user"] != 0 and told["attacks"] >= 80 and told["escapes"] == {}


@needs_bubblewrap
async def test_harmless_programs_are_unaffected_in_full_python() -> None:
    box = Bubblewrap()
    assert await affected(box) == ({}, [])
    await box.aclose()


async def test_harmless_programs_run_in_monty_or_are_refused() -> None:
    box = Monty()
    changed, refused = await affected(box)
    await box.aclose()
    assert changed == {}
    assert len(refused) < len(HARMLESS) - 50


@pytest.mark.slow
@needs_bubblewrap
async def test_harmless_programs_are_unaffected_on_the_ladder() -> None:
    box = best_sandbox()
    assert await affected(box) == ({}, [])
    await box.aclose()
