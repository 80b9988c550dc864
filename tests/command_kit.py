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


def called(main, capsys, arguments):
    """Call a command within this process; return its exit code and what it said on both channels."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    return code, said.out, said.err
