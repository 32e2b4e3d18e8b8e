import json
import subprocess

import numpy as np
import pytest

from benchmarks import peers, rivals
from benchmarks.readme import PAGE, ROOT, with_section
from benchmarks.sides import npgpt_mlp
from benchmarks.sides.moons import DECAY, moons, weights


def result(name, **columns):
    return {"name": name, "label": "a step", "pairs": 3, "left_out": {}, "columns": {
        column: {"median": 0.1 / part, "npgpt_ratio": part, "peak_bytes": 2e8}
        for column, part in columns.items()},
        "machine": {"cores": 2, "processor": "<a>", "python": "3.12", "numpy": "2.4"}}


def test_the_rows_have_the_rivals_that_were_found(tmp_path):
    alone = {row.name: row for row in peers.contests({}, "python3.12")}
    assert list(alone) == list(peers.NAMES)
    assert "numpygrad" not in alone["numpygrad"].contestants
    every = {row.name: row for row in peers.contests(
        {name: tmp_path / name for name in rivals.RIVALS}, "python3.12")}
    assert every["numpygrad"].contestants["numpygrad"][1]["python"] == "python3.12"
    assert "llm.c" in every["train-gpt2-64"].contestants
    assert "llama.cpp f32" in every["decode"].contestants
    for row in [*alone.values(), *every.values()]:
        assert row.rival in row.contestants


def test_the_pages_name_time_and_ratio_of_each():
    results = [result("numpygrad", npgpt=1.0, numpygrad=0.0123),
               result("train-gpt2-64", npgpt=1.0, eager=0.75)]
    text = peers.section(results)
    assert "| a step | 100.0 ms | numpygrad 8.13 s, 0.012 |" in text
    text = peers.figures(results, ROOT / "nowhere")
    assert "| a training step of 124M, B4 T64 | 100.0 ms | 0.75 PyTorch |" in text


def test_the_pages_say_what_the_last_run_measured():
    path = peers.RESULTS / "peers.json"
    if not path.exists():
        pytest.skip("not measured yet")
    results = json.loads(path.read_text(encoding="utf-8"))
    for page, name, text in ((PAGE, "peers", peers.section(results)),
                             (ROOT / "README.md", "figures",
                              peers.figures(results, peers.RESULTS))):
        content = page.read_text(encoding="utf-8")
        assert with_section(content, name, text) == content, f"{page}: the section {name} is old"


def test_rows_that_were_not_asked_for_stay_in_the_file(tmp_path):
    path = tmp_path / "peers.json"
    assert peers._merged(path, [{"name": "micrograd", "a": 1}]) == [{"name": "micrograd", "a": 1}]
    path.write_text(json.dumps([{"name": "numpygrad"}, {"name": "micrograd", "a": 1}]))
    assert peers._merged(path, [{"name": "micrograd", "a": 2}]) == [
        {"name": "numpygrad"}, {"name": "micrograd", "a": 2}]


def test_the_demos_step_goes_down_its_loss():
    points = 20
    x, labels = moons(points)

    def loss(params):
        h = x
        for i, (w, b) in enumerate(params):
            h = (np.maximum(h, 0) if i else h) @ w + b
        return (np.maximum(1 - labels[:, None] * h, 0).mean()
                + DECAY * sum((p * p).sum() for pair in params for p in pair))

    once = npgpt_mlp.prepare(points)
    losses = [once()["loss"] for _ in range(100)]
    assert losses[0] == pytest.approx(loss(weights()))
    assert losses[-1] < losses[0] / 3


def test_llm_c_is_built_for_a_size_and_its_source_stays(tmp_path, monkeypatch):
    tree = tmp_path / "llm.c"
    tree.mkdir()
    source = "int B = 4; // batch\nint T = 64;\n"
    (tree / "train_gpt2.c").write_text(source)
    # a copy of the source is the program
    (tree / "Makefile").write_text("train_gpt2:\n\tcp train_gpt2.c train_gpt2\n")
    monkeypatch.setattr(rivals, "fetch", lambda name, folder, source: tree)
    program = rivals.build_llmc(tmp_path, 2, 512)
    assert "int B = 2;" in program.read_text() and "int T = 512;" in program.read_text()
    assert (tree / "train_gpt2.c").read_text() == source
    (tree / "train_gpt2.c").write_text("int B = 4;\n")
    with pytest.raises(RuntimeError, match="expected one line int T"):
        rivals.build_llmc(tmp_path, 1, 64)


def test_a_rival_is_cloned_at_its_commit_once(tmp_path, monkeypatch):
    origin = tmp_path / "owner+name"

    def git(*arguments):
        return subprocess.run(["git", "-C", str(origin), "-c", "user.name=n", "-c",
                               "user.email=n@n", *arguments], check=True, capture_output=True,
                              text=True).stdout.strip()

    origin.mkdir()
    git("init", "-q")
    for text in ("old", "new"):
        (origin / "file").write_text(text)
        git("add", "file")
        git("commit", "-qm", text)
    rival = rivals.Rival("owner", "name", git("rev-parse", "HEAD~1"))
    monkeypatch.setitem(rivals.RIVALS, "it", rival)
    pattern = str(tmp_path / "{owner}+{name}")
    for _ in range(2):
        assert (rivals.fetch("it", tmp_path / "got", pattern) / "file").read_text() == "old"
    with pytest.raises(RuntimeError, match="git ended with"):
        rivals.fetch("it", tmp_path / "other", str(tmp_path / "missing"))
