"""npgpt view: the page of a run, of two, of an untrained preset; and the server."""

import http.client
import json
import re
import shlex
import signal

import pytest

from npgpt.cli.view import DESCRIPTION
from npgpt.view.encoding import decoded

pytestmark = pytest.mark.smoke


def shown(path):
    """The payload of a page."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="trace">(.*?)</script>', text,
                                re.DOTALL)[1])


def test_a_runs_page_opens_from_disk_and_is_described(npgpt, run_folder, tmp_path):
    code, out, err = npgpt("view", run_folder)
    assert (code, err) == (0, "")
    page = shown(tmp_path / "run.view.html")
    assert page["meta"]["command"] == "npgpt view run" and page["meta"]["step"] == 4
    assert "page       run.view.html, " in out and f"loss {page['loss']:.4f} nats" in out
    assert max(map(len, out.splitlines())) <= 80 and DESCRIPTION


def test_every_option_stands_in_the_foots_command(npgpt, run_folder, tmp_path, story):
    (tmp_path / "text.txt").write_text(story.read_text()[:20])
    (tmp_path / "mine.py").write_text(
        "# gradcheck: x=(2,3)\ndef double_forward(x):\n    return 2 * x, None\n\n\n"
        "def double_backward(dout, cache):\n    return (dout,)\n")
    code, out, err = npgpt(
        "view", "run/config.toml", "--file", "text.txt", "--length", 5, "--before", "run",
        "--check", "mine.py", "--exact", "--no-residual", "--n-layer", 2, "--out", "page.html")
    assert (code, err) == (0, "")
    page = shown(tmp_path / "page.html")
    assert page["meta"]["command"] == (
        "npgpt view run/config.toml --file text.txt --length 5 --before run --check mine.py "
        "--exact --n-layer 2 --no-residual")
    assert page["before"]["meta"]["trained"] and not page["meta"]["trained"]
    assert page["meta"]["notable"]["residual"] is False and len(page["attention"]) == 2
    assert page["check"]["function"] == "double"
    assert decoded(page["check"]["difference"]).shape == (2, 3)
    assert page["entries"][0]["value"]["e"] == "f4"


def test_the_foots_command_has_no_more_of_a_text_than_the_page(npgpt, run_folder, tmp_path, story):
    text = story.read_text()
    for length, given, wanted in ((4, text[:60], text[:4] + "..."), (4, text[:5], text[:5])):
        assert npgpt("view", "run", given, "--length", length)[0] == 0
        command = shown(tmp_path / "run.view.html")["meta"]["command"]
        assert shlex.split(command)[3] == wanted


@pytest.mark.parametrize("arguments, code, message", [
    (["run", "--length", "9"], 2, "length=9"),
    (["run", "ab", "--file", "x"], 2, "got both a TEXT and --file"),
    (["run", "--n-layer", "3"], 2, "n_layer belongs to an untrained preset or a .toml"),
    (["run", ""], 2, "a text of at least two tokens"),
    (["runn"], 3, "runn is not a run, a checkpoint, a folder of weights, nor a preset"),
    (["run", "--before", "python-docs"], 2, "reads other tokens than run"),
    (["run", "--check", "none.py"], 2, "none.py is not a file"),
    (["run", "--serve", "--port", "99999"], 2, "port=99999"),
    (["run", "--out", "no/such/page.html"], 3, "there is no folder no/such"),
    (["run", "--serve", "--out", "x.html"], 2, "expected --serve or --out"),
    (["run", "--port", "8000"], 2, "--port belongs to --serve"),
    (["."], 3, ". is no run but holds 1; expected one of them, such as run"),
])
def test_a_mistake_is_answered_in_one_line(npgpt, run_folder, arguments, code, message):
    got, out, err = npgpt("view", *arguments)
    assert got == code and message in err and len(err.splitlines()) == 1, err


def test_the_server_stops_at_ctrl_c(process, run_folder):
    running = process("view", "run", "--serve")
    url = re.search(r"http://127\.0\.0\.1:(\d+)/", running.stdout.readline())
    connection = http.client.HTTPConnection("127.0.0.1", int(url[1]), timeout=30)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.status == 200 and b'"live":true' in answer.read()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (0, "") and out.endswith("stopped\n")
