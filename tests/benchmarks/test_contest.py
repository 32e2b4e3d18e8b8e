import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import contest
from benchmarks.children import helpers_peak, run_child
from benchmarks.sides import llama_cpp, llm_c
from benchmarks.suite import Row, rows
from npgpt import GPT2Config
from npgpt.weights.llmc import load_llmc

CONFIG = GPT2Config(vocab_size=96, n_positions=64, n_embd=32, n_layer=2, n_head=4)


def program(path, code):
    path.write_text(f"#!{sys.executable}\nimport json, os, sys\n{code}\n")
    path.chmod(0o755)
    return str(path)


def test_a_row_has_medians_ratios_and_the_memory_of_the_process_that_worked():
    job = ("fresh", {"work": "import", "package": "npgpt"})
    row = Row("import", "an import", {"npgpt": job, "again": job}, "again")
    result = contest.hold(row, 3, None, ())
    for column in result["columns"].values():
        assert len(column["seconds"]) == 3 and column["median"] > 0
        assert 1e6 < column["peak_bytes"] < 1e9
    assert result["columns"]["npgpt"]["npgpt_ratio"] == 1.0


def test_a_column_that_cannot_be_measured_is_left_out_and_named():
    job = ("fresh", {"work": "import", "package": "npgpt"})
    missing = ("no_such_side", {})
    row = Row("import", "x", {"npgpt": job, "other": missing}, "npgpt")
    result = contest.hold(row, 1, None, ())
    assert list(result["columns"]) == ["npgpt"]
    assert "no_such_side" in result["left_out"]["other"]


def test_without_its_rival_there_is_no_row():
    job = ("fresh", {"work": "import", "package": "npgpt"})
    row = Row("import", "x", {"npgpt": job, "other": ("no_such_side", {})}, "other")
    with pytest.raises(RuntimeError, match="^other: .*no_such_side"):
        contest.hold(row, 1, None, ())


def test_contestants_take_turns_and_none_is_always_first(monkeypatch):
    order = []

    class Fake:
        def __init__(self, name, contestant, python):
            self.name = name

        def run(self):
            order.append(self.name)
            return {"seconds": len(order), "extra": None}

        def quit(self):
            return 1

        def close(self):
            pass

    monkeypatch.setattr(contest, "Worker", Fake)
    job = ("fresh", {"work": "import", "package": "npgpt"})
    result = contest.hold(Row("x", "x", {"a": job, "b": job, "c": job}, "b"), 3, None, ())
    assert "".join(order) == "abccbaabc"
    assert result["columns"]["a"]["seconds"] == [1, 6, 7]
    # medians of the pairs 1/2, 6/5 and 7/8
    assert result["columns"]["b"]["npgpt_ratio"] == 7 / 8


def test_a_child_that_fails_is_reported_in_one_line(tmp_path):
    bad = program(tmp_path / "bad", "print('long\\nstory', file=sys.stderr); sys.exit(3)")
    with pytest.raises(RuntimeError, match=r"ended with 3: story$"):
        run_child([bad])
    with pytest.raises(RuntimeError, match="cannot be started"):
        run_child([str(tmp_path / "missing")])


def test_the_memory_of_living_children_is_counted():
    before = helpers_peak()
    code = "held = bytearray(30_000_000); print('there', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert helpers_peak() - before > 30_000_000
        child.communicate(b"\n")


def test_llama_bench_gets_the_work_and_reports_its_own_time(tmp_path, monkeypatch):
    monkeypatch.setattr(llama_cpp.GPT2Config, "named", lambda name: CONFIG)
    fake = program(tmp_path / "llama-bench", f"""
open({str(tmp_path / 'asked')!r}, 'w').write(json.dumps(sys.argv))
assert os.path.getsize(sys.argv[2]) > 1000
print(json.dumps([{{"samples_ns": [6_400_000], "build_commit": "abc"}}]))""")
    once = llama_cpp.prepare("decode", 64, "q8_0", fake)
    extra = once()
    assert extra["seconds"] == 0.0064 and extra["per"] == 64 and extra["version"] == "abc"
    asked = json.loads((tmp_path / "asked").read_text())
    assert asked[3:7] == ["-p", "0", "-n", "64"]
    assert llama_cpp.prepare("prefill", 1000, "f32", fake)()["per"] == 1


def test_llm_c_finds_its_files_and_is_ended_after_the_measured_step(tmp_path):
    llm_c.write_folder(tmp_path, CONFIG)
    assert load_llmc(tmp_path / "gpt2_124M.bin")[0] == CONFIG
    tokens = (tmp_path / llm_c.DATA / "tiny_shakespeare_val.bin").read_bytes()
    assert np.frombuffer(tokens, "<i4", 3).tolist() == [20240520, 1, llm_c.TOKENS]
    assert len(tokens) == 1024 + 2 * llm_c.TOKENS
    # printed without flushing, as C does: only a terminal shows the lines in time
    fake = program(tmp_path / "train_gpt2", """
import time
for step in range(3):
    print(f"step {step}: train loss 10.9 (took {step + 1}00.5 ms)")
time.sleep(600)""")
    step = llm_c.measure([fake], tmp_path)
    assert step["seconds"] == pytest.approx(0.3005) and step["peak_bytes"] > 1e6
    silent = program(tmp_path / "other", "print('no weights')")
    with pytest.raises(RuntimeError, match="printed no step 2: no weights"):
        llm_c.measure([silent], tmp_path)


def test_programs_get_their_columns_only_where_they_are_given():
    named = {row.name: row for row in rows("a/llama-bench", "a/train_gpt2")}
    assert named["prefill"].contestants["llama.cpp Q8_0"][1]["program"] == "a/llama-bench"
    assert named["train-gpt2-64"].contestants["llm.c"][1] == {"program": "a/train_gpt2"}
    assert not any("." in column for row in rows() for column in row.contestants)


def test_the_loop_without_the_text_says_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("NPGPT_CACHE", str(tmp_path))
    # no proxy answers there: as without a network
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    row = next(row for row in rows() if row.name == "loop")
    with pytest.raises(RuntimeError, match="(?i)shakespeare") as caught:
        contest.hold(row, 1, None, ())
    assert "\n" not in str(caught.value)
