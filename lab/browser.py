"""A real browser without a window: Chromium, by the protocol that its driver speaks (https://www.w3.org/TR/webdriver2)."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_DRIVER = "http://127.0.0.1:9515"
_START_SECONDS = 30
_LOAD_SECONDS = 60
_STILL_SECONDS = 0.4
_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900")
_ORDER = (".sort", ".desc", ".pageSize")
_ABOUT_PAGE = """
const text = (selector) => [...document.querySelectorAll(selector)].map((one) => one.innerText.trim());
return {
  address: location.href,
  title: document.title,
  headings: text("h1, h2, h3, h4"),
  text: document.body.innerText,
  links: [...document.querySelectorAll("a[href]")].map((one) => one.href),
};
"""


def missing_packages() -> list[str]:
    """Debian's packages whose programs this machine has not: for tests alone, since they are large."""
    return ["chromium-driver"] if shutil.which("chromedriver") is None else []


@dataclass(frozen=True)
class Page:
    """What a browser shows.

    Attributes:
        address: where it is, after redirects.
        title: of its tab.
        headings: in their order.
        text: all that can be read.
        links: where they lead.
    """

    address: str
    title: str
    headings: Sequence[str]
    text: str
    links: Sequence[str]


class Browser:
    """One window of it."""

    def __init__(self, session: str) -> None:
        """Use a session of the driver."""
        self._session = f"{_DRIVER}/session/{session}"

    def open(self, address: str) -> Page:
        """Go to a page, and wait until it is loaded, and what its scripts fetch is shown."""
        _ask(f"{self._session}/url", {"url": address})
        page, before = self._page(), None
        while page != before:
            time.sleep(_STILL_SECONDS)
            page, before = self._page(), page
        return page

    def _page(self) -> Page:
        return Page(**_ask(f"{self._session}/execute/sync", {"script": _ABOUT_PAGE, "args": []}))

    def take_picture(self, file: Path) -> None:
        """Write what the window shows as a PNG."""
        file.write_bytes(base64.b64decode(_ask(f"{self._session}/screenshot")))

    def walk(self, start: str, wanted: Callable[[str], bool], most: int = 500) -> Iterator[Page]:
        """Open a page, and then each wanted one that a link leads to, within the same host and port; each once.

        The same table in another order is the same page.
        """
        origin = "/".join(start.split("/")[:3])
        waiting, seen = deque([start]), {_without_order(start)}
        while waiting:
            page = self.open(waiting.popleft())
            yield page
            for link in page.links:
                address = _without_order(urldefrag(link).url)
                if address.startswith(f"{origin}/") and address not in seen and wanted(address):
                    if len(seen) >= most:
                        message = f"more than {most} pages, last {address}"
                        raise RuntimeError(message)
                    seen.add(address)
                    waiting.append(address)


@contextlib.contextmanager
def opened(enter: Sequence[str] = ()) -> Iterator[Browser]:
    """A browser in the network that the words `enter` put a command into; that must be the caller's network, too."""
    command = (*enter, "chromedriver", "--port=9515", "--silent")
    driver = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_ready()
        options = {"goog:chromeOptions": {"args": list(_OPTIONS)}, "timeouts": {"pageLoad": _LOAD_SECONDS * 1000}}
        session = _ask(f"{_DRIVER}/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]
        yield Browser(session)
        _ask(f"{_DRIVER}/session/{session}", method="DELETE")
    finally:
        driver.terminate()
        driver.wait()


def _without_order(address: str) -> str:
    place, _, query = address.partition("?")
    kept = [one for one in query.split("&") if one and not one.partition("=")[0].endswith(_ORDER)]
    return f"{place}?{'&'.join(kept)}" if kept else place


def _wait_until_ready() -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            if _ask(f"{_DRIVER}/status")["ready"]:
                return
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def _ask(address: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, content, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=2 * _LOAD_SECONDS) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        said = json.load(error)["value"]["message"]
        message = f"{said.splitlines()[0]} ({address}, {body})"
        raise RuntimeError(message) from error
