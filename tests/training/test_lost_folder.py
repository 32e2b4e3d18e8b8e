"""A run whose folder is renamed, deleted or replaced: it ends, says so, and loses nothing."""

import shutil

import pytest

from npgpt.training.checkpoint import load_checkpoint
from npgpt.training.loop import FolderGone, train
from npgpt.verify import verify

from .conftest import Silent
from .test_loop import log_without_times, same_state


@pytest.mark.parametrize("go", [
    lambda folder: folder.rename(folder.with_name("elsewhere")),
    lambda folder: shutil.rmtree(folder),
    lambda folder: (shutil.rmtree(folder), folder.mkdir(), (folder / "mine").touch()),
    lambda folder: shutil.rmtree(folder / "checkpoints") or folder.rename(folder.with_name("x")),
])
@pytest.mark.parametrize("step", [1, 4, 6, 12])
def test_a_run_whose_folder_goes_away_saves_its_state_elsewhere_and_says_so(
        start, corpus, tmp_path, go, step):
    class Rude(Silent):
        def step(self, record):
            if record["step"] == step:
                go(tmp_path / "run")

    whole = start()
    train(tmp_path / "whole", whole, corpus, Silent())
    with pytest.raises(FolderGone) as caught:
        train(tmp_path / "run", start(), corpus, Rude())
    saved = tmp_path / "aside-run"
    assert str(caught.value) == (
        f"{tmp_path / 'run'} was renamed, deleted or replaced while the run went on; the state "
        f"after step {load_checkpoint(saved).step} is saved; continue with "
        f"npgpt train --resume {saved}")
    assert step <= load_checkpoint(saved).step <= step + 1
    assert sorted(path.name for path in tmp_path.glob("run/*")) in ([], ["mine"])
    assert verify(saved).damaged == 0
    state = load_checkpoint(saved)
    train(saved, state, corpus, Silent())
    same_state(state, whole)
    assert log_without_times(saved) == log_without_times(tmp_path / "whole")


def test_a_run_whose_folder_goes_away_while_the_last_evaluation_goes_does_not_succeed(
        start, corpus, tmp_path):
    class Rude(Silent):
        def evaluating(self, seen, total):
            if seen < 100:
                (tmp_path / "run").rename(tmp_path / "elsewhere")

    with pytest.raises(FolderGone):
        train(tmp_path / "run", start(), corpus, Rude())
    assert load_checkpoint(tmp_path / "aside-run").step == 12
    assert not (tmp_path / "elsewhere" / "result.json").exists()


def test_a_run_whose_folder_goes_away_with_all_above_it_says_so(start, corpus, tmp_path):
    class Rude(Silent):
        def step(self, record):
            if record["step"] == 2:
                shutil.rmtree(tmp_path / "runs")
                (tmp_path / "runs").touch()

    with pytest.raises(FolderGone, match="the state after step 3 cannot be saved as .*aside-run: "):
        train(tmp_path / "runs" / "run", start(), corpus, Rude())
