"""A headless browser that opens a file and tells what a reader would see: errors, the page as it stands, pictures.

It is spoken to through two pipes, so there is neither a port nor a network; Debian's package is `chromium`.
What a test shows with `page.keep("name")` lies in `.pictures/` of the checkout afterwards, for people to look at.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

PHONE, DESKTOP = 390, 1280
"""Widths in pixels."""
LONGEST_S = 60
PICTURES = Path(__file__).parents[1] / ".pictures"
"""Written anew by each run."""
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars"),
    *("--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--disable-background-networking"),
    *("--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
)


def chromium():
    """Return where the browser is, or skip."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or pytest.skip("no chromium on this machine; Debian's package is chromium")


class Browser:
    """One running browser; a test opens pages in it one after another."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        (theirs_in, self.out), (self.into, theirs_out) = os.pipe(), os.pipe()
        # A browser reads from descriptor 3 and writes to 4.
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}']
        self.process = subprocess.Popen(
            [*command, chromium(), *FLAGS, f"--user-data-dir={self.profile.name}"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.profile.name},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.asked, self.rest, self.events = 0, b"", []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError, EOFError):
            self.ask("Browser.close")
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        os.close(self.out)
        os.close(self.into)
        self.profile.cleanup()

    def ask(self, method, session=None, **params):
        """Send one command of the DevTools protocol and return its answer; what comes before it is kept as events."""
        self.asked += 1
        message = {"id": self.asked, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while (answer := self.read()).get("id") != self.asked:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def read(self):
        """Return the next message."""
        while b"\0" not in self.rest:
            if not select.select([self.into], [], [], LONGEST_S)[0]:
                raise TimeoutError(f"the browser said nothing for {LONGEST_S} s")
            piece = os.read(self.into, 1 << 20)
            if not piece:
                raise EOFError("the browser has ended")
            self.rest += piece
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def open(self, target, *, width=DESKTOP, dark=False, script=True):
        """Open a file, or an address on this machine, and return the page once everything is there."""
        return Page(self, target, width=width, dark=dark, script=script)


def assert_fits(browser, file, name, *, dark):
    """Check that a page has no error, asks for nothing and is never wider than its window, in light or in dark.

    A picture of each width is kept under the name.
    """
    for width in (PHONE, 820, 1400):
        page = browser.open(file, width=width, dark=dark)
        assert page.errors == []
        assert page.fetched == [Path(file).as_uri()]
        assert page.overflow == 0
        assert page.run("getComputedStyle(document.documentElement).colorScheme") == ("dark" if dark else "light")
        assert len(page.keep(f"{name}-{width}-{'dark' if dark else 'light'}")) > 20_000


class Page:
    """A page as a reader has it in front of them."""

    def __init__(self, browser, target, *, width, dark, script):
        self.browser, self.width = browser, width
        self.target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.ask("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.size(900)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Emulation.setScriptExecutionDisabled", value=not script)
        address = Path(target).resolve().as_uri() if "://" not in str(target) else str(target)
        said = self.ask("Page.navigate", url=address)
        if said.get("errorText"):
            raise RuntimeError(f"{address}: {said['errorText']}")
        self.wait("Page.loadEventFired")

    def ask(self, method, **params):
        """Send a command to this page."""
        return self.browser.ask(method, self.session, **params)

    def wait(self, method):
        """Wait until the page tells of something."""
        until = time.monotonic() + LONGEST_S
        while not self.told(method):
            if time.monotonic() > until:
                raise TimeoutError(f"waited {LONGEST_S} s for {method}")
            self.browser.events.append(self.browser.read())

    def told(self, method):
        """Return what the page has told of one kind of event."""
        mine = [event for event in self.browser.events if event.get("sessionId") == self.session]
        return [event["params"] for event in mine if event["method"] == method]

    def size(self, height):
        """Make the window as wide as it was opened, and so high."""
        shape = {"width": self.width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **shape)

    def run(self, code):
        """Return what JavaScript says; what it throws is an error here."""
        said = self.ask("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in said:
            raise RuntimeError(said["exceptionDetails"]["exception"].get("description", code))
        return said["result"].get("value")

    @property
    def errors(self):
        """Return what the console shows as an error or a warning, broken policies and uncaught exceptions too."""
        self.run("0")  # whatever was told before is then read
        thrown = [e["exceptionDetails"]["text"] for e in self.told("Runtime.exceptionThrown")]
        logged = [e["entry"] for e in self.told("Log.entryAdded")]
        called = [e for e in self.told("Runtime.consoleAPICalled") if e["type"] in {"error", "warning", "assert"}]
        return [*thrown, *(e["text"] for e in logged if e["level"] in {"error", "warning"}), *map(str, called)]

    @property
    def fetched(self):
        """Return every address that was asked for, the page's own first."""
        return [e["request"]["url"] for e in self.told("Network.requestWillBeSent")]

    @property
    def html(self):
        """Return the page as it stands now."""
        return self.run("document.documentElement.outerHTML")

    @property
    def overflow(self):
        """Return by how many pixels the page is wider than its window."""
        return self.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def press(self, key):
        """Press a key such as Tab or Enter."""
        text = {"text": "\r"} if key == "Enter" else {}
        code = {"Tab": 9, "Enter": 13, "Escape": 27}[key]
        for kind in ("keyDown", "keyUp"):
            more = text if kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def picture(self, *, whole=True):
        """Return the page as a PNG, whole or what is in the window."""
        if whole:
            self.size(min(int(self.run("document.documentElement.scrollHeight")), 16000))
        data = base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])
        self.size(900)
        return data

    def keep(self, name, *, whole=True):
        """Keep a picture of the page, as it stands now, as test output; return it."""
        PICTURES.mkdir(exist_ok=True)
        data = self.picture(whole=whole)
        (PICTURES / f"{name}.png").write_bytes(data)
        return data
