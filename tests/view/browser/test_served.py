"""The page of --serve in a browser: it asks only its own server, which NumPy answers."""

from __future__ import annotations

import http.client
import json
import threading

import numpy as np
import pytest

from npgpt.probe.trace import trace
from npgpt.view.payload import Window, payload
from npgpt.view.serve import Answers, Server

from .conftest import CONFIG, Pieces, subject

TEXT = 'a the\n"a</script><!-- a a'


@pytest.fixture
def served():
    shown = Window.of(Pieces().encode(TEXT), 8, "as given")
    found, seen = payload(subject(), shown, live=True, exact=True)
    text = Pieces().decode(shown.ids)
    with Server(Answers(subject(), 24, True, found, seen, text)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def wait(browser, code):
    """Until a script gives something true, for at most five seconds of asking."""
    found = browser.driver.execute_async_script("""
        const done = arguments[arguments.length - 1], ask = new Function(arguments[0]);
        let left = 250;
        const again = () => {
          const found = ask();
          found || left-- === 0 ? done(found) : setTimeout(again, 20);
        };
        again();""", code)
    assert found, code
    return found


def test_a_served_page_asks_its_own_server_only(browser, served):
    browser.requests()
    browser.open(served.url)
    asked = [request.partition("#")[0] for request in browser.requests()]
    assert {request for request in asked if not request.startswith("data:")} == {served.url}


def test_a_typed_text_is_traced_by_numpy(browser, served):
    browser.open(served.url, "view=tokens")
    browser.js("""document.getElementById("text").value = "a the</script>a a";
                  document.getElementById("retrace").click()""")
    wait(browser, "return document.querySelectorAll('#view-tokens .tokens button').length === 6")
    ids = Pieces().encode("a the</script>a a")
    targets = np.append(ids[1:], -100)
    loss = trace(subject().params, ids[None], targets[None], CONFIG).activations["loss"]
    rows = browser.table("loss")
    assert np.mean([row[3] for row in rows[:-1]]) == pytest.approx(float(loss), rel=1e-5)
    # a text that the tokenizer does not know: the server's sentence, and the page as it was
    browser.js("""document.getElementById("text").value = "a";
                  document.getElementById("retrace").click()""")
    wait(browser, "return document.getElementById('text-error').textContent.includes('two tokens')")
    browser.errors()


def test_a_cells_terms_are_asked_for_and_sum_to_it(browser, served):
    browser.open(served.url, "view=tensor&entry=h.1.mlp.c_fc&pos=5&cell=7")
    browser.js("""[...document.querySelectorAll("#formula button")]
                  .find((b) => b.textContent.includes("terms")).click()""")
    text = wait(browser, """const text = document.querySelector("[data-formula=forward]").innerText;
                            return text.includes("from the other") && text""")
    ids = Pieces().encode(TEXT)
    value = float(trace(subject().params, ids[None, :8], ids[None, 1:9], CONFIG)
                  .activations["h.1.mlp.c_fc"][0, 5, 7])
    assert f"= {value:.3g}".replace("-", "−") in text


def test_generation_is_asked_for_live(browser, served):
    browser.open(served.url, "view=generation")
    browser.js("""document.querySelector("#view-generation input[aria-label=tokens]").value = 3;
                  document.getElementById("generate").click()""")
    tokens = "document.querySelectorAll('#view-generation .tokens button')"
    shown = wait(browser, f"return {tokens}.length === 3 && [...{tokens}].map((b) => b.innerText)")
    assert len(shown) == 3 and all(shown)


@pytest.mark.parametrize("host, body, status", [
    ("evil.example", b"{}", 403), (None, b" " * 70_000, 413), (None, b"[1]", 400),
])
def test_another_host_and_a_huge_body_are_rejected(served, host, body, status):
    connection = http.client.HTTPConnection("127.0.0.1", served.server_port, timeout=10)
    headers = {"Content-Type": "application/json"} | ({"Host": host} if host else {})
    connection.request("POST", "/trace", body=body, headers=headers)
    answer = connection.getresponse()
    assert answer.status == status
    assert "error" in json.loads(answer.read())
    connection.close()
