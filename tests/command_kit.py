"""Our commands, run as a user runs them: in a process of their own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(command, environment, ends=(0,), cwd=ROOT):
    """Run one of our commands; its output, or a failure that shows it where it does not end as it should."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in ends, done.stdout + done.stderr
    return done.stdout
