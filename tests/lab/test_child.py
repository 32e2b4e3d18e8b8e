"""A run that does not outlive who started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
# a parent, with threads that end before it does, starts a child and waits to be killed
PARENT = """
import os, subprocess, sys, threading, time
for _ in range(20):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
alive, ours = os.pipe()
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]], stdin=alive,
                         stdout=subprocess.PIPE)
child.stdout.readline()
print("asked", flush=True)
child.wait()
"""
# the child counts its signals
CHILD = """
import os, signal, sys, threading
from npgpt.lab.child import end_with_stdin
heard = []
signal.signal(signal.SIGTERM, lambda *news: heard.append(news))
end_with_stdin()
(waiting,) = set(threading.enumerate()) - {threading.main_thread()}
print("asked", flush=True)
# when the thread that waits for the end has ended, every signal has been sent
waiting.join()
with open(sys.argv[1] + ".part", "w") as file:
    file.write(str(len(heard)))
os.rename(sys.argv[1] + ".part", sys.argv[1])
"""


def test_it_is_npgpt():
    with subprocess.Popen([sys.executable, "-m", "npgpt.lab.child", "--version"], env=ENVIRONMENT,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert "npgpt" in child.stdout.readline()
        assert child.wait() == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a program can handle")
def test_it_gets_one_signal_when_its_parent_is_killed(tmp_path):
    count = tmp_path / "count"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD, str(count)],
                              env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "asked\n"
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 30
    while not count.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert count.read_text() == "1"
