"""Whole commands of two versions of npgpt in turns."""

import json
import sys

import pytest

from benchmarks import earlier
from benchmarks.readme import PAGE, ROOT, with_section


def result(beside):
    return {"before": "abc1234", "same_text": True, "rounds": 2, "beside": beside, "machine": {
        "cores": 2, "processor": "<a>", "date": "2026-01-02", "commit": "def"}}


def test_the_table_has_both_times_and_ratios_of_the_rounds():
    def column(*seconds):
        return {"seconds": list(seconds), "processor": [2 * s for s in seconds]}

    text = earlier.section(result({"0": {
        "before": column(1.0, 2.0, 4.0), "npgpt": column(0.5, 2.0, 1.0),
        "one thread": column(1.0, 1.0, 1.0)}}))
    assert "| nothing | 2.00 s, 4.00 s | 1.00 s, 2.00 s | 0.50 | 0.50 | 1.00 | 1.00 |" in text
    assert "The text is the same." in text


def test_commands_are_timed_with_the_npgpt_of_their_checkout(tmp_path):
    (tmp_path / "npgpt").mkdir()
    (tmp_path / "npgpt" / "__main__.py").write_text(
        "import sys\nsum(range(10**6))\nprint('earlier', sys.argv[-1])\n")
    (tmp_path / "npgpt" / "__init__.py").write_text("")
    seconds, processor, text = earlier.timed(
        tmp_path, [sys.executable, "-m", "npgpt", "generate"])
    assert text == "earlier generate\n"
    assert seconds > 0 and processor > 0
    with pytest.raises(RuntimeError, match="No module named nowhere"):
        earlier.timed(tmp_path, [sys.executable, "-m", "nowhere"])


def test_the_contestants_are_an_earlier_version_this_one_and_one_thread_of_it(tmp_path):
    found = earlier.commands(tmp_path, tmp_path / "run")
    assert [(folder, command[-2:]) for folder, command in found.values()] == [
        (tmp_path, ["--seed", "1"]), (ROOT, ["--seed", "1"]), (ROOT, ["--threads", "1"])]


def test_the_page_says_what_was_measured_last():
    measured = json.loads((earlier.RESULTS / "earlier.json").read_text(encoding="utf-8"))
    content = PAGE.read_text(encoding="utf-8")
    assert with_section(content, "earlier", earlier.section(measured)) == content
