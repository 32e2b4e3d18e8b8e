"""tune() sets up the process; importing npgpt or calling it as a library does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from npgpt import machine
from npgpt.machine import threads, tune

ROOT = Path(__file__).resolve().parents[2]
# what OpenBLAS sees is what stands there when NumPy is loaded
SHOW = """
import os, sys
class Watch:
    def find_spec(self, name, *rest):
        if name == "numpy":
            print(os.environ.get("OPENBLAS_THREAD_TIMEOUT"))
            sys.meta_path.remove(self)
sys.meta_path.insert(0, Watch())
sys.argv[1:] = ["eval", "no-such-folder"]
"""
COMMANDS = {
    "the command line": "from npgpt.cli import entry; entry()",
    "python -m npgpt": "import runpy; runpy.run_module('npgpt', run_name='__main__')",
    "a benchmark": "from benchmarks.worker import contestant; contestant('npgpt_gpt')",
    "a library user": "from npgpt.machine import tune; tune(); import npgpt.gpt2",
}


def run(code, **environment):
    kept = {k: v for k, v in os.environ.items() if k != "OPENBLAS_THREAD_TIMEOUT"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=kept | {"PYTHONPATH": str(ROOT)} | environment)


@pytest.mark.parametrize("load", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("given, seen", [({}, "22"), ({"OPENBLAS_THREAD_TIMEOUT": "26"}, "26")])
def test_spinning_is_set_before_numpy_is_loaded_and_a_users_value_stays(given, seen, load):
    assert run(SHOW + load, **given).stdout == seen + "\n"


def test_importing_and_calling_npgpt_leaves_the_process_alone():
    done = run("""
import ctypes, os, sys
from threadpoolctl import threadpool_info
before = dict(os.environ)
import numpy as np
counts = [lib["num_threads"] for lib in threadpool_info()]
class CDLL(ctypes.CDLL):
    def __getattr__(self, name):
        assert name != "mallopt", "the allocator is not ours to set"
        return super().__getattr__(name)
ctypes.CDLL = CDLL
import npgpt
from npgpt.evaluation.text import mean_loss
from npgpt.fast.ops import FAST
from npgpt.training.step.gradients import loss_and_grads
model = npgpt.GPT2.init(npgpt.GPT2Config(vocab_size=11, n_positions=64, n_embd=64, n_head=2,
                                         n_layer=2), seed=0)
ids = np.random.default_rng(0).integers(0, 11, (8, 64))
loss_and_grads(model.params, ids, ids, model.config, threads=2)
mean_loss(model.params, model.config, [(ids, ids)], ops=FAST)
model.generate([1, 2], 3)
assert dict(os.environ) == before
assert [lib["num_threads"] for lib in threadpool_info()] == counts
print("unchanged")
""")
    assert (done.stdout, done.stderr) == ("unchanged\n", "")


def test_tune_sets_the_threads_of_npgpt_and_of_blas_and_may_be_called_again():
    done = run("""
from npgpt.machine import threads, tune
tune(); tune(3); tune()
from threadpoolctl import threadpool_info
print(threads.get_threads(), {lib["num_threads"] for lib in threadpool_info()})
tune(2)
print(threads.get_threads(), {lib["num_threads"] for lib in threadpool_info()})
""")
    assert (done.stdout, done.stderr) == ("3 {3}\n2 {2}\n", "")


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_a_number_of_threads_that_is_not_a_positive_integer_is_rejected(n, monkeypatch):
    monkeypatch.setattr(machine, "keep_freed_memory", lambda: True)
    before = threads.get_threads()
    with pytest.raises(ValueError, match="threads="):
        tune(n)
    assert threads.get_threads() == before
