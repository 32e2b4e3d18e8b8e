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
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports a death")
# a parent that starts a child, prints its id, and waits to be killed
PARENT = """
import os, subprocess, sys
code = "from npgpt.lab.child import end_with; import time; end_with(%d); print('asked', flush=True)"
code = code % os.getpid() + "; time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def test_it_is_npgpt():
    done = subprocess.run(
        [sys.executable, "-m", "npgpt.lab.child", str(os.getpid()), "--version"],
        env=ENVIRONMENT, text=True, capture_output=True)
    assert done.returncode == 0 and "npgpt" in done.stdout, done.stderr


def test_it_does_nothing_where_the_parent_is_gone_already():
    done = subprocess.run(
        [sys.executable, "-m", "npgpt.lab.child", "999999999", "--version"],
        env=ENVIRONMENT, text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (1, "")


def test_it_ends_when_its_parent_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], env=ENVIRONMENT,
                              stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# the parent has threads, whose ends Linux may report one by one; the child counts the signals
CROWDED = """
import os, subprocess, sys, threading, time
for _ in range(20):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid()), sys.argv[2]],
                         stdout=subprocess.PIPE)
child.stdout.readline()
print("asked", flush=True)
child.wait()
"""
COUNTING = """
import os, signal, sys, time
from npgpt.lab.child import end_with
heard = []
signal.signal(signal.SIGTERM, lambda *news: heard.append(news))
end_with(int(sys.argv[1]))
print("asked", flush=True)
while not heard:
    time.sleep(0.01)
time.sleep(0.3)
with open(sys.argv[2] + ".part", "w") as file:
    file.write(str(len(heard)))
os.rename(sys.argv[2] + ".part", sys.argv[2])
"""


def test_it_gets_one_signal_though_each_thread_of_its_parent_ends(tmp_path):
    count = tmp_path / "count"
    parent = subprocess.Popen([sys.executable, "-c", CROWDED, COUNTING, str(count)],
                              env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "asked\n"
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 30
    while not count.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert count.read_text() == "1"
