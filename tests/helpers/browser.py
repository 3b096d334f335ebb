"""Pages in a headless Chromium, over its DevTools protocol."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_PROBLEMS = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Network.loadingFailed")
_START_SECONDS, _ANSWER_SECONDS = 60, 30


class Browser:
    """A browser with one tab.

    Attributes:
        problems: Messages of the console, exceptions and failed requests since the last page.
    """

    def __init__(self, address: str) -> None:
        import websocket

        self.problems: list[str] = []
        self._socket = websocket.create_connection(address, timeout=_ANSWER_SECONDS, suppress_origin=True)
        self._number = 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while (message := self._receive()).get("id") != self._number:
            pass
        assert "error" not in message, message
        return dict(message["result"])

    def open(self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a page at a width, in pixels, and in a colour scheme."""
        self.problems.clear()
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=page.resolve().as_uri())
        self.wait_for_load()

    def wait_for_load(self) -> None:
        """Wait until a page is loaded, the first time or again."""
        while self._receive().get("method") != "Page.loadEventFired":
            pass

    def evaluate(self, expression: str, *, wait: bool = False) -> Any:
        """Return the value of an expression of JavaScript, or that of its promise."""
        options = {"returnByValue": True, "awaitPromise": wait}
        return self.call("Runtime.evaluate", expression=expression, **options)["result"].get("value")

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Save a picture of the page."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _receive(self) -> dict[str, Any]:
        message = dict(json.loads(self._socket.recv()))
        if message.get("method") in _PROBLEMS:
            self.problems.append(json.dumps(message["params"]))
        return message


@contextmanager
def running_browser(folder: Path) -> Iterator[Browser]:
    """Start a browser; the test is skipped where there is none.

    Args:
        folder: Empty folder for its files.
    """
    pytest.importorskip("websocket")
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"]
    command = [CHROMIUM, *options, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with closing(Browser(_address(folder / "DevToolsActivePort"))) as browser:
            yield browser
    finally:
        process.kill()
        process.wait()


def _address(file: Path) -> str:
    """Return the address of the tab of a browser that is starting."""
    from urllib.request import urlopen

    until = time.monotonic() + _START_SECONDS
    while not (file.is_file() and file.read_text().count("\n")):
        assert time.monotonic() < until, "the browser does not start"
        time.sleep(0.1)
    with urlopen(f"http://127.0.0.1:{file.read_text().split()[0]}/json/list") as answer:
        return next(str(tab["webSocketDebuggerUrl"]) for tab in json.load(answer) if tab["type"] == "page")
