"""Downloads: from real servers on this machine, good and bad, and from none."""

import hashlib
import http.server
import socket
import threading
import urllib.error
import urllib.request

import pytest

from npgpt.text.download import SHAKESPEARE, Download, fetch
from npgpt.text.sources import CorpusError

CONTENT = b"To be, or not to be\n" * 50
ALTERNATIVES = "python-docs"


def download(url):
    return Download("play", url, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def serve():
    """Start a server of one answer; its URL, and the list of paths it was asked for."""
    servers = []

    def start(body, status=200, length=None):
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/play.txt", asked

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def refused():
    """A URL of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{probe.getsockname()[1]}/play.txt"


def test_a_download_is_stored_and_not_repeated(serve, tmp_path):
    url, asked = serve(CONTENT)
    notes = []
    for _ in range(2):
        assert fetch(download(url), tmp_path / "new", notes.append, ALTERNATIVES) == CONTENT
    assert asked == ["/play.txt"]
    assert notes == [f"downloaded play (1,000 bytes), stored at {tmp_path / 'new' / 'play.txt'}"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["play.txt"]


def test_a_damaged_stored_file_is_downloaded_again(serve, tmp_path):
    url, asked = serve(CONTENT)
    (tmp_path / "play.txt").write_bytes(CONTENT[:-1] + b"!")
    assert fetch(download(url), tmp_path, print, ALTERNATIVES) == CONTENT
    assert (tmp_path / "play.txt").read_bytes() == CONTENT


@pytest.mark.parametrize("answer, problem", [
    ((b"x" * len(CONTENT),), "another file: expected sha256"),
    ((CONTENT[:-9],), "expected 1,000 bytes, got 991"),
    ((CONTENT + b"more",), "expected 1,000 bytes, got more"),
    ((CONTENT[:-9], 200, len(CONTENT)), "expected 1,000 bytes, got 991|IncompleteRead"),
    ((b"", 404), "Not Found"),
    ((b"", 500), "Internal Server Error"),
])
def test_a_bad_answer_is_an_error_and_is_not_stored(serve, tmp_path, answer, problem):
    url, _ = serve(*answer)
    with pytest.raises(CorpusError, match=problem):
        fetch(download(url), tmp_path, print, ALTERNATIVES)
    assert list(tmp_path.iterdir()) == []


def test_offline_one_line_says_why_where_and_what_else(refused, tmp_path):
    with pytest.raises(CorpusError) as error:
        fetch(download(refused), tmp_path, print, ALTERNATIVES)
    message = str(error.value)
    assert "\n" not in message and "Connection refused" in message
    assert f"place the file from {refused} at {tmp_path / 'play.txt'} by hand" in message
    assert message.endswith("or use python-docs")


@pytest.mark.parametrize("failure, words", [
    (urllib.error.URLError(socket.gaierror(-2, "Name or\nservice not known")), "Name or service"),
    (TimeoutError("timed out"), "timed out"),
    (ConnectionResetError(), "ConnectionResetError"),
])
def test_any_failure_of_the_net_is_one_line(monkeypatch, tmp_path, failure, words):
    def urlopen(url, timeout):
        raise failure

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(CorpusError, match=rf"cannot download play \({words}") as error:
        fetch(download("http://127.0.0.1/"), tmp_path, print, ALTERNATIVES)
    assert "\n" not in str(error.value)


def test_a_file_placed_by_hand_is_taken_offline(refused, tmp_path):
    (tmp_path / "play.txt").write_bytes(CONTENT)
    assert fetch(download(refused), tmp_path, print, ALTERNATIVES) == CONTENT


def test_a_wrong_file_placed_by_hand_is_reported_offline(refused, tmp_path):
    (tmp_path / "play.txt").write_bytes(CONTENT.replace(b"\n", b"\r\n"))
    with pytest.raises(CorpusError, match="play.txt cannot be used .another file: .* got more"):
        fetch(download(refused), tmp_path, print, ALTERNATIVES)
    assert (tmp_path / "play.txt").exists()


def test_a_folder_that_cannot_be_written_costs_a_note_only(serve, tmp_path):
    url, _ = serve(CONTENT)
    (tmp_path / "file").write_text("in the way")
    notes = []
    assert fetch(download(url), tmp_path / "file", notes.append, ALTERNATIVES) == CONTENT
    assert len(notes) == 1 and "downloaded play; it cannot be stored at" in notes[0]


def test_shakespeare_is_known_by_its_whole_hash():
    assert len(bytes.fromhex(SHAKESPEARE.sha256)) == 32
    assert SHAKESPEARE.sha256.startswith("86c4e6aa") and SHAKESPEARE.n_bytes == 1_115_394
