"""The one setting that OpenBLAS takes from the environment alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# what OpenBLAS sees is what stands there when NumPy is loaded
SHOW = """
import os, sys
class Look:
    def find_spec(self, name, *rest):
        if name == "numpy":
            print(os.environ.get("OPENBLAS_THREAD_TIMEOUT"))
            sys.meta_path.remove(self)
sys.meta_path.insert(0, Look())
"""


@pytest.mark.parametrize("load", [
    "import npgpt", "from benchmarks.worker import contestant; contestant('npgpt_gpt')",
], ids=["npgpt", "a benchmark's contestant"])
@pytest.mark.parametrize("given, seen", [(None, "22"), ("26", "26")])
def test_it_is_set_before_numpy_is_loaded_and_a_users_value_stays(given, seen, load):
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_THREAD_TIMEOUT"}
    environment |= {"PYTHONPATH": str(ROOT)}
    if given:
        environment["OPENBLAS_THREAD_TIMEOUT"] = given
    done = subprocess.run([sys.executable, "-c", SHOW + load], env=environment, text=True,
                          capture_output=True)
    assert (done.stdout, done.stderr) == (seen + "\n", "")
