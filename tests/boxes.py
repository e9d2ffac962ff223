"""What tests need that run programs: bubblewrap. Where it is missing they are passed over, but never in CI, which installs it."""

from __future__ import annotations

import os
import shutil

import pytest

needs_bubblewrap = pytest.mark.skipif(shutil.which("bwrap") is None and not os.environ.get("CI"), reason="bubblewrap is not installed")
