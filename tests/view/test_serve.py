"""The server answers its own page with NumPy's numbers, and nobody else."""

import http.client
import json
import socket
import threading
import time

import numpy as np
import pytest

from npgpt import GPT2
from npgpt.view.encoding import decoded
from npgpt.view.payload import payload
from npgpt.view.serve import MOST_BYTES, Answers, Server

from .models import TEXT, subject, trace_of, window

pytestmark = pytest.mark.smoke


@pytest.fixture(scope="module")
def server():
    model = subject()
    shown, seen = payload(model, window(), command="npgpt view small --serve", exact=True,
                          live=True)
    with Server(Answers(model, 11, True, shown, seen)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, method, path, body=None, **headers):
    """Status, headers and content of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    given = {"Host": f"127.0.0.1:{server.server_port}", "Content-Type": "application/json"}
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, content, {**given, **headers})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


def test_it_listens_on_the_loopback_interface_only(server):
    assert server.server_address[0] == "127.0.0.1"


def test_the_page_is_served_and_may_ask_its_server(server):
    status, headers, text = ask(server, "GET", "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert "connect-src 'self'" in text and '"live":true' in text
    assert headers["Cache-Control"] == "no-store" and headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "", "localhost:1",
                                  "127.0.0.1.evil.example:{port}", "[::1]:{port}"])
@pytest.mark.parametrize("method, path", [("GET", "/"), ("POST", "/trace")])
def test_a_request_for_another_host_is_rejected(server, host, method, path):
    host = host.format(port=server.server_port)
    status, _, text = ask(server, method, path, {"text": "ab"}, Host=host)
    assert status == 403 and json.loads(text) == {"error": f"expected the address {server.url}"}


def test_it_may_be_called_localhost(server):
    assert ask(server, "GET", "/", Host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize("path", ["/etc/passwd", "/../setup.cfg", "/index.html", "/?x=1",
                                  "http://127.0.0.1/", "/%2e%2e/setup.cfg"])
def test_no_path_is_served(server, path):
    for method, body in (("GET", None), ("POST", {"text": "ab"})):
        status, _, text = ask(server, method, path, body)
        assert status == 404 and "expected /" in json.loads(text)["error"]


@pytest.mark.parametrize("headers, body, status", [
    ({"Content-Type": "text/plain"}, {"text": "ab"}, 415),
    ({"Content-Type": "application/x-www-form-urlencoded"}, b"text=ab", 415),
    ({"Origin": "http://evil.example"}, {"text": "ab"}, 403),
    ({"Origin": "null"}, {"text": "ab"}, 403),
    ({"Content-Length": str(MOST_BYTES + 1)}, {"text": "ab"}, 413),
    ({"Content-Length": "9" * 5000}, {"text": "ab"}, 413),
    ({"Content-Length": "-1"}, {"text": "ab"}, 411),
    ({}, b"{", 400), ({}, b"[1]", 400), ({}, b'{"text": 3}', 400), ({}, b"\xff", 400),
    ({}, {}, 400), ({}, {"text": "a"}, 400), ({}, {"text": "\ud800"}, 400),
    ({}, {"text": "xyz"}, 400),
])
def test_a_request_that_does_not_fit_gets_one_sentence(server, headers, body, status):
    got, _, text = ask(server, "POST", "/trace", body, **headers)
    assert got == status
    assert list(json.loads(text)) == ["error"] and "\n" not in json.loads(text)["error"]


def test_other_methods_are_unknown(server):
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        status, headers, text = ask(server, method, "/")
        assert status == 501 and headers["Content-Type"] == "application/json"
        assert text == "" if method == "HEAD" else (
            json.loads(text) == {"error": "expected GET or POST"})


@pytest.mark.parametrize("sent", [b"", b"POST /trace HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                                  b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"])
def test_a_connection_that_says_too_little_blocks_nobody(server, sent):
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        connection.sendall(sent.replace(b"{port}", str(server.server_port).encode()))
        assert ask(server, "POST", "/trace", {"text": "ab"})[0] == 200


def test_one_question_is_answered_at_a_time(server, monkeypatch):
    answers, inside = server.answers, []

    def trace(body):
        inside.append("in")
        assert inside[-2:] != ["in", "in"]
        time.sleep(0.01)
        inside.append("out")
        return {}

    monkeypatch.setattr(answers, "trace", trace)
    threads = [threading.Thread(target=ask, args=(server, "POST", "/trace", {"text": "ab"}))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == ["in", "out"] * 4


def test_a_typed_text_is_traced_and_its_cells_are_numpys(server):
    typed = "cab<!--</a>"
    status, _, text = ask(server, "POST", "/trace", {"text": typed})
    found = json.loads(text)
    assert status == 200 and "".join(each["text"] for each in found["tokens"]) == typed
    model = subject()
    ids = model.tokenizer.encode(typed)
    full = GPT2(model.config, model.params)
    assert found["loss"] == pytest.approx(full.loss(ids[:-1], ids[1:]), rel=1e-12)
    logits = next(e for e in found["entries"] if e["name"] == "logits")
    np.testing.assert_allclose(decoded(logits["value"]), full.logits(ids), rtol=1e-10)
    asked = {"text": typed, "entry": "h.1.mlp.c_fc", "index": [3, 5]}
    cell = json.loads(ask(server, "POST", "/cell", asked)[2])
    total = sum(x * w for _, x, w in cell["terms"]) + cell["rest"] + cell["bias"]
    entry = next(e for e in found["entries"] if e["name"] == "h.1.mlp.c_fc")
    assert total == pytest.approx(cell["value"]) and cell["value"] == decoded(entry["value"])[3, 5]
    assert cell["gradient"] == decoded(entry["gradient"])[3, 5]
    named = asked | {"index": [0, 3, 5]}
    assert json.loads(ask(server, "POST", "/cell", named)[2]) == cell
    for wrong, message in (({"text": "other"}, "not among"),
                           ({"entry": "h.1.mlp.c_f"}, "did you mean"),
                           ({"entry": "loss"}, "an index"), ({"index": [99, 0]}, "outside"),
                           ({"index": [1, 3, 5]}, "an index"), ({"index": [1]}, "an index")):
        status, _, text = ask(server, "POST", "/cell", asked | wrong)
        assert status == 400 and message in json.loads(text)["error"]


def test_a_cell_of_another_pages_text_is_traced_again(server):
    first = TEXT[:11]
    asked = {"entry": "h.0.mlp.c_proj", "index": [2, 7]}
    # the first page's last position has a target, which its text alone does not say
    wanted = trace_of().steps["h.0.mlp.c_proj"].gradient[0, 2, 7]
    for text in (first, "abba", first, "cabba"):
        cell = json.loads(ask(server, "POST", "/cell", asked | {"text": text})[2])
        if text == first:
            assert cell["gradient"] == wanted
        else:
            shown = json.loads(ask(server, "POST", "/trace", {"text": text})[2])
            assert shown["meta"]["input"] == text
            entry = next(e for e in shown["entries"] if e["name"] == asked["entry"])
            assert cell["value"] == decoded(entry["value"])[2, 7]


def test_text_is_generated_as_generate_does(server):
    asked = {"text": "ab", "tokens": 4, "temperature": 0.7, "top_k": 5, "top_p": None, "seed": 2}
    found = json.loads(ask(server, "POST", "/generate", asked)[2])
    model = subject()
    ids = GPT2(model.config, model.params).generate(
        model.tokenizer.encode("ab"), 4, temperature=0.7, top_k=5, seed=2)
    assert found["text"] == model.tokenizer.decode(ids) == found["generation"]["text"]
    for wrong in ({"tokens": 65}, {"tokens": 0}, {"temperature": -1}, {"top_p": 2.0}, {"text": ""},
                  {"seed": -1}):
        assert ask(server, "POST", "/generate", asked | wrong)[0] == 400


def test_the_first_page_stays_after_other_texts(server):
    text = ask(server, "GET", "/")[2]
    first = trace_of().loss
    assert f'"loss":{first!r}' in text
