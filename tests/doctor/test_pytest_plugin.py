import os
import subprocess
import sys
from pathlib import Path

USER_TEST = """
import numpy as np

def square_forward(x):
    return x * x, x

def test_right(gradcheck):
    report = gradcheck(square_forward, lambda dout, x: (2 * dout * x,), np.arange(1.0, 4.0))
    assert report.ok
    gradcheck.function(lambda x: np.sin(x).sum(), np.cos, np.arange(3.0))
    gradcheck.scalar(lambda p: p["w"].sum(), {"w": np.ones(3)}, {"w": np.ones(3)})

def test_wrong(gradcheck):
    gradcheck(square_forward, lambda dout, x: (-2 * dout * x,), np.arange(1.0, 4.0))
"""


def test_the_fixture_passes_right_pairs_and_prints_the_report_of_wrong_ones(tmp_path):
    (tmp_path / "test_mine.py").write_text(USER_TEST)
    root = Path(__file__).parents[2]
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    listed = subprocess.run(
        [sys.executable, "-c", "import importlib.metadata as m;"
         "print('npgpt_gradcheck' in [e.name for e in m.entry_points(group='pytest11')])"],
        capture_output=True, text=True, check=True)
    if "True" not in listed.stdout:
        run[4:4] = ["-p", "npgpt.doctor.pytest_plugin"]
    result = subprocess.run(
        run, cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(root)})
    assert result.returncode == 1
    assert "1 failed, 1 passed" in result.stdout
    assert "wrong-sign in the gradient of x" in result.stdout
    assert "pytest_plugin.py" not in result.stdout
