"""Downloads: from real servers on this machine, good and bad, and from none."""

import hashlib
import http.server
import socket
import threading
import urllib.error
import urllib.request

import pytest

from npgpt.text import shakespeare
from npgpt.text.shakespeare import fetch
from npgpt.text.sources import CorpusError

CONTENT = b"To be, or not to be\n" * 50
KNOWN = shakespeare.SHA256, shakespeare.N_BYTES


@pytest.fixture(autouse=True)
def play(monkeypatch):
    """A shorter text in Shakespeare's place."""
    monkeypatch.setattr(shakespeare, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(shakespeare, "N_BYTES", len(CONTENT))


@pytest.fixture
def serve(monkeypatch):
    """Start a server of one answer; the list of paths it was asked for."""
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
        monkeypatch.setattr(
            shakespeare, "URL", f"http://127.0.0.1:{server.server_port}/play.txt")
        return asked

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def offline(monkeypatch):
    """A URL of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/play.txt"
        monkeypatch.setattr(shakespeare, "URL", url)
        yield url


def test_a_download_is_stored_and_not_repeated(serve, tmp_path):
    asked = serve(CONTENT)
    notes = []
    for _ in range(2):
        assert fetch(tmp_path / "new", notes.append) == CONTENT
    assert asked == ["/play.txt"]
    place = tmp_path / "new" / "shakespeare.txt"
    assert notes == [f"downloaded shakespeare (1,000 bytes), stored at {place}"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["shakespeare.txt"]


def test_a_damaged_stored_file_is_downloaded_again(serve, tmp_path):
    serve(CONTENT)
    (tmp_path / "shakespeare.txt").write_bytes(CONTENT[:-1] + b"!")
    assert fetch(tmp_path, print) == CONTENT
    assert (tmp_path / "shakespeare.txt").read_bytes() == CONTENT


@pytest.mark.parametrize("answer, problem", [
    ((b"x" * len(CONTENT),), "another file: expected sha256"),
    ((CONTENT[:-9],), "expected 1,000 bytes, got 991"),
    ((CONTENT + b"more",), "expected 1,000 bytes, got more"),
    ((CONTENT[:-9], 200, len(CONTENT)), "expected 1,000 bytes, got 991|IncompleteRead"),
    ((b"", 404), "Not Found"),
    ((b"", 500), "Internal Server Error"),
])
def test_a_bad_answer_is_an_error_and_is_not_stored(serve, tmp_path, answer, problem):
    serve(*answer)
    with pytest.raises(CorpusError, match=problem):
        fetch(tmp_path, print)
    assert list(tmp_path.iterdir()) == []


def test_offline_one_line_says_why_where_and_what_else(offline, tmp_path):
    with pytest.raises(CorpusError) as error:
        fetch(tmp_path, print)
    message = str(error.value)
    assert "\n" not in message and "Connection refused" in message
    assert f"place the file from {offline} at {tmp_path / 'shakespeare.txt'} by hand" in message
    assert "or use python-docs or python-source (no network needed)" in message


@pytest.mark.parametrize("failure, words", [
    (urllib.error.URLError(socket.gaierror(-2, "Name or\nservice not known")), "Name or service"),
    (TimeoutError("timed out"), "timed out"),
    (ConnectionResetError(), "ConnectionResetError"),
])
def test_any_failure_of_the_net_is_one_line(monkeypatch, tmp_path, failure, words):
    def urlopen(url, timeout):
        raise failure

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(CorpusError, match=rf"cannot download shakespeare \({words}") as error:
        fetch(tmp_path, print)
    assert "\n" not in str(error.value)


def test_a_file_placed_by_hand_is_taken_offline(offline, tmp_path):
    (tmp_path / "shakespeare.txt").write_bytes(CONTENT)
    assert fetch(tmp_path, print) == CONTENT


def test_a_wrong_file_placed_by_hand_is_reported_offline(offline, tmp_path):
    (tmp_path / "shakespeare.txt").write_bytes(CONTENT.replace(b"\n", b"\r\n"))
    with pytest.raises(CorpusError, match="shakespeare.txt cannot be used .another .* got more"):
        fetch(tmp_path, print)
    assert (tmp_path / "shakespeare.txt").exists()


def test_a_folder_that_cannot_be_written_costs_a_note_only(serve, tmp_path):
    serve(CONTENT)
    (tmp_path / "file").write_text("in the way")
    notes = []
    assert fetch(tmp_path / "file", notes.append) == CONTENT
    assert len(notes) == 1 and "downloaded shakespeare; it cannot be stored at" in notes[0]


def test_shakespeare_is_known_by_its_whole_hash():
    sha256, n_bytes = KNOWN
    assert len(bytes.fromhex(sha256)) == 32
    assert sha256.startswith("86c4e6aa") and n_bytes == 1_115_394
