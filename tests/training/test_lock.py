"""The lock of a run folder: one writer at a time, and none left behind."""

import os
import signal
import subprocess
import sys

import pytest

from npgpt.training.lock import LOCK_FILE, only_writer
from npgpt.training.loop import train

from .conftest import Silent

pytest.importorskip("fcntl")

HOLD = """
import sys, time
from pathlib import Path
from npgpt.training.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds tmp_path."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=root,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_writer_is_refused_by_the_name_of_the_first(holder, tmp_path):
    with pytest.raises(ValueError, match=f"being trained by another process, {holder.pid};"):
        with only_writer(tmp_path):
            pass


def test_a_killed_writer_leaves_no_lock(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with only_writer(tmp_path):
        assert (tmp_path / LOCK_FILE).read_text() == str(os.getpid())


def test_training_where_another_trains_writes_nothing(holder, start, corpus, tmp_path):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match="another process"):
        train(tmp_path, start(), corpus, Silent())
    assert sorted(tmp_path.iterdir()) == before


def test_the_folder_is_free_again_after_training(start, corpus, tmp_path):
    train(tmp_path / "run", start(max_steps=1), corpus, Silent())
    with only_writer(tmp_path / "run"):
        pass
