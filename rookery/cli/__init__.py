"""The command line: ``rookery run``, ``runs``, ``show``, ``resume`` and the rest; Typer is imported here and nowhere else."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Carry out the command in ``sys.argv`` and exit with its code."""
    from rookery.cli.app import app
    from rookery.cli.out import INTERRUPTED

    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # a tool may still sit in a thread that nothing can stop; the log is closed already
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise
