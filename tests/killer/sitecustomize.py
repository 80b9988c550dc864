"""Kills the worker that imports it, for real and by itself, when it comes to a chosen point: no function is touched.

The interpreter tells of calls and of renames; the blow falls in the thread that came to the point, and is noted first.
"""

import os
import signal
import sys
import threading
from pathlib import Path

POINTS = {
    "decode": ("/extract/media.py", "read"),
    "encode": ("/encoders/", "encode"),
    "write": ("/features/store.py", "_digest"),
}


class Killer:
    """Waits for a stage, with a clip if one is named, once so many parts are finished."""

    def __init__(self, stage, clip, after):
        self.stage, self.clip, self.after, self.parts = stage, clip, after, 0

    def called(self, frame, event, _):
        """Look at each call."""
        place, function = POINTS.get(self.stage, ("", ""))
        place, code = os.environ.get("KILL_PLACE", place), frame.f_code
        here = event == "call" and code.co_name == function and place in code.co_filename
        if here and self.parts >= self.after and self.clip in ("", *clips(frame)):
            self.strike()

    def audited(self, event, arguments):
        """Look at each rename of a part, which comes right before it is done."""
        if event == "os.rename" and "part-" in str(arguments[1]):
            if self.stage == "rename" and self.parts >= self.after:
                self.strike()
            self.parts += 1

    def strike(self):
        """Note the stage, then kill: this worker, or the whole run above it; or bring it to a standstill."""
        log, what = Path(os.environ["KILL_LOG"]), os.environ.get("KILL_WHAT")
        if os.environ.get("KILL_ONCE") and log.exists():
            return
        with log.open("a") as file:
            file.write(self.stage + "\n")
        if what == "run":
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGSTOP if what == "hang" else signal.SIGKILL)


def clips(frame):
    """Name the clips that a call and those above it hold in their hands."""
    found = set()
    while frame:
        held = frame.f_locals
        found |= {unit.clip for unit in held.get("units", ()) if hasattr(unit, "clip")}
        found.add(getattr(held.get("clip"), "id", None))
        frame = frame.f_back
    return found


if "extract.worker" in sys.orig_argv and os.environ.get("KILL_STAGE"):
    killer = Killer(os.environ["KILL_STAGE"], os.environ.get("KILL_CLIP", ""), int(os.environ.get("KILL_AFTER", "0")))
    sys.addaudithook(killer.audited)
    sys.setprofile(killer.called)
    threading.setprofile(killer.called)
