"""A headless Chromium, and the pages it opens: of small models whose numbers NumPy has too.

Debian's packages chromium and chromium-driver, and selenium (the extra `browser`): without one of
them these tests are skipped, and say so. No browser is downloaded.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest

from npgpt import GPT2Config
from npgpt.params import Params, init_params
from npgpt.text import Tokenizer
from npgpt.training.settings import resolve
from npgpt.view.html import page
from npgpt.view.parameters import Optimizer
from npgpt.view.payload import Subject, Window, payload

NEEDED = ("the browser tests need Debian's chromium and chromium-driver, and selenium: "
          "apt-get install chromium chromium-driver; pip install -e '.[browser]'")
VIEWS = ["start", "tape", "tensor", "flow", "attention", "entropy", "tokens", "generation",
         "parameters"]
# what a page could trip over: its own markup, blanks, halves of a character, a quote, an arrow
PIECES = [b"</script>", b"<!--", b" ", b"\n", b"\t", b"\xe2\x82", b"\xac", b"a", b" the", b'"',
          b"&amp;", b"\xe2\x80\xa8", b"<b>"]


class Pieces(Tokenizer):
    """A tokenizer whose tokens are PIECES."""

    name, vocab_size = "char", len(PIECES)

    def encode(self, text: str) -> Any:
        raw, found = text.encode(), []
        while raw:
            number = max((i for i, piece in enumerate(PIECES) if raw.startswith(piece)),
                         key=lambda i: len(PIECES[i]))
            found.append(number)
            raw = raw[len(PIECES[number]):]
        return np.array(found, np.int64)

    def decode_bytes(self, ids: Any) -> bytes:
        return b"".join(PIECES[int(i)] for i in ids)

    def to_dict(self) -> dict[str, str]:
        return {"name": "pieces"}

    def safe_cut(self, text: str) -> int:
        return 0


CONFIG = GPT2Config(vocab_size=len(PIECES), n_positions=24, n_embd=12, n_layer=3, n_head=2,
                    n_inner=20)
IDS = np.array([0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 4, 7, 0])


def subject(config: GPT2Config = CONFIG, seed: int = 0, kind: str = "weights") -> Subject:
    """A float64 model whose parameters are of unit scale: nothing in it is nearly 0."""
    rng = np.random.default_rng(seed)
    params: Params = {name: array + 0.3 * rng.standard_normal(array.shape)
                      for name, array in init_params(config, seed, "float64").items()}
    return Subject("tiny", kind, config, params, Pieces(),
                   Optimizer(resolve("finetune").train, scheduled=False))


def window(length: int = 12) -> Window:
    """The first tokens of IDS, every one with a target."""
    return Window.of(IDS, length, "as given")


@dataclass
class Browser:
    """A driver with the questions that the tests have."""

    driver: Any
    folder: Path

    def write(self, name: str, found: dict[str, Any]) -> str:
        """The address of a page on disk."""
        path = self.folder / f"{name}.html"
        path.write_text(page(found), encoding="utf-8")
        return path.as_uri()

    def open(self, url: str, hash_: str = "") -> None:
        """Load the page anew, also where only the part after # differs."""
        self.driver.get("about:blank")
        self.driver.get(f"{url}#{hash_}" if hash_ else url)
        assert self.errors() == []

    def show(self, view: str) -> None:
        """Go to a view of the page that is open."""
        self.js(f"document.querySelector('[data-view={view}]').click()")
        assert self.errors() == [], view

    def js(self, code: str, *args: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(code, *args)

    def becomes(self, code: str, wanted: Any) -> None:
        """Wait until a script returns this: events such as a dialog's close come as tasks."""
        from selenium.webdriver.support.ui import WebDriverWait
        WebDriverWait(self.driver, 60, 0.02).until(
            lambda _: self.js(code) == wanted, f"{code} never returned {wanted!r}")

    def address(self) -> str:
        """Where the page itself is: the driver hears of a new address later."""
        return self.js("return location.href")

    def errors(self) -> list[str]:
        """What the console complained of since last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since last asked."""
        messages = [json.loads(entry["message"])["message"]
                    for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages
                if m["method"] == "Network.requestWillBeSent"]

    def size(self, width: int, height: int = 900) -> None:
        """Set the window, narrower than a desktop's can be."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def prefer(self, **features: str) -> None:
        """Set what the system prefers: color_scheme="dark", reduced_motion="reduce"."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value}
            for name, value in features.items()]})

    def keys(self, *names: str) -> None:
        """Press keys where the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys
        chain = ActionChains(self.driver, duration=0)
        for name in names:
            chain.send_keys(getattr(Keys, name, name))
        chain.perform()

    def table(self, figure: str) -> list[list[Any]]:
        """A picture's table: every cell a number, where it is one, or its text."""
        return self.js("""
            const figure = document.querySelector(
              `section:not([hidden]) [data-figure="${arguments[0]}"]`);
            const button = figure.querySelector(".head button");
            if (button.getAttribute("aria-pressed") !== "true") button.click();
            const read = (cell) => "number" in cell.dataset ? Number(cell.dataset.number)
              : cell.textContent;
            return [...figure.querySelectorAll("tbody tr")]
              .map((row) => [...row.children].map(read));
        """, figure)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        pytest.skip(NEEDED)
    if chromium is None or chromedriver is None:
        pytest.skip(NEEDED)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless=new", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars",
                     "disable-background-networking", "no-first-run",
                     *(("no-sandbox",) if os.geteuid() == 0 else ())):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        found = Browser(driver, tmp_path_factory.mktemp("pages"))
        found.size(1280)
        yield found
    finally:
        driver.quit()


@pytest.fixture(autouse=True)
def as_it_was(browser: Browser) -> Iterator[None]:
    """Every test begins with a wide window, a light theme and empty logs."""
    browser.size(1280)
    browser.prefer(color_scheme="light")
    browser.requests()
    browser.errors()
    yield


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """The payload of a small model, with the same model before it, of other numbers."""
    found, _ = payload(subject(), window(), command="npgpt view tiny")
    found["before"] = payload(subject(seed=1), window(), brief=True)[0]
    return found


@pytest.fixture(scope="session")
def url(browser: Browser, tiny: dict[str, Any]) -> str:
    """Where the small model's page is."""
    return browser.write("tiny", tiny)


@pytest.fixture(scope="session")
def broken() -> Subject:
    """A model with one NaN, in a weight of the second layer."""
    found = subject()
    params = {name: array.copy() for name, array in found.params.items()}
    params["h.1.mlp.c_fc.weight"][3, 5] = np.nan
    return replace(found, params=params)
