"""Nothing that macOS or Windows lacks is needed: it is hidden here, from worker processes too."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Python runs a sitecustomize that it finds on its path at every start
HIDE = """
import os, signal, sys
for module in ("fcntl", "resource", "grp", "termios"):
    sys.modules[module] = None
names = ("memfd_create register_at_fork fork forkpty posix_fallocate posix_fadvise getloadavg "
         "sendfile copy_file_range pidfd_open eventfd splice sysconf wait3 wait4 waitid "
         "killpg setsid mkfifo fchmod nice posix_spawn").split()
for name in [*names, *(name for name in dir(os) if name.startswith("sched_"))]:
    if hasattr(os, name):
        delattr(os, name)
# where there is no affinity, it counts all
os.process_cpu_count = os.cpu_count
del signal.SIGHUP
"""
PROGRAM = """
import os, sys, time
import numpy as np
from npgpt.cli import main
from npgpt.machine import threads, tune
from npgpt.training.step.workers import Workers

assert not hasattr(os, "sched_getaffinity") and sys.modules["fcntl"] is None
tune(2)
threads.THRESHOLDS.shard_work = 0
# by the command line, with workers for as many steps as they are there for
answered, answers = [], Workers.gradients
def counted(self, params, shards):
    answered.append(len(shards))
    return answers(self, params, shards)
def patient(self, *given, ready=Workers.ready):
    while self.count and not ready(self, *given):
        time.sleep(0.02)
    return ready(self, *given)
Workers.gradients, Workers.ready = counted, patient
train = ["train", "--corpus", "text.txt", "--tokenizer", "char", "--n-layer", "1", "--n-head", "2",
         "--n-embd", "8", "--n-positions", "8", "--batch-size", "4", "--threads", "2"]
assert main([*train, "--out", "run", "--max-steps", "30"]) == 0
assert len(answered) == 30, answered
assert main(["generate", "run", "the", "--max-new-tokens", "5"]) == 0
# and without workers: they are not worth it for five steps
assert main([*train, "--out", "other", "--max-steps", "5"]) == 0
assert len(answered) == 30, answered
"""


def test_training_with_and_without_workers_and_writing_need_nothing_of_linux(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    (tmp_path / "text.txt").write_text("the cat sat on the mat and the dog ran. " * 50)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
    )
    assert done.returncode == 0, done.stderr
