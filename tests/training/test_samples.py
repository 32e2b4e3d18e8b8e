"""A sample is what the model would write, and whoever stops the run does not wait for its end."""

from types import SimpleNamespace

import pytest

from npgpt.generation import LanguageModel
from npgpt.machine import threads
from npgpt.training.checkpoint import load_checkpoint
from npgpt.training.loop import train
from npgpt.training.samples import write_sample

from .conftest import Silent


@pytest.mark.parametrize("stop", [1, 3])
def test_a_stop_ends_a_sample_at_its_next_token_and_leaves_no_file(start, tmp_path, stop):
    asked = iter(range(1, stop + 1))            # being asked once more would be an error
    state = start(sample_tokens=1000)
    assert write_sample(tmp_path / "run", state, lambda: next(asked) == stop) is None
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_stopped_in_a_sample_is_saved_at_once(start, corpus, tmp_path):
    state, reporter, asked = start(sample_tokens=1000), Silent(), 0

    def stop():
        nonlocal asked
        asked += state.step == 6
        return asked >= 3                       # the sample after step 6 has begun

    outcome = train(tmp_path / "run", state, corpus, reporter, stop)
    assert (outcome.reason, outcome.step) == ("interrupted", 6)
    assert asked == 4 and not reporter.samples
    assert load_checkpoint(tmp_path / "run").step == 6


def test_a_sample_is_written_with_the_runs_threads(start, tmp_path, monkeypatch):
    seen, stream = set(), LanguageModel.stream

    def noting(*args, **settings):
        for token in stream(*args, **settings):
            seen.add(threads.get_threads())
            yield token

    monkeypatch.setattr(LanguageModel, "stream", noting)
    with threads.using(5):
        assert len(write_sample(tmp_path, start(threads=3))) == 5
    assert seen == {3}


def test_a_sample_of_an_instruction_is_its_prompt_and_the_answer_up_to_its_end(
    start, tmp_path, monkeypatch
):
    state = start(sample_tokens=5)
    prompt = state.tokenizer.encode("e t").tolist()
    end = state.tokenizer.first_id
    answer = [end + 1, end + 2, end, end + 1]

    def stream(self, ids, *args, **settings):
        assert ids.tolist() == prompt
        return iter([SimpleNamespace(id=i) for i in answer])

    monkeypatch.setattr(LanguageModel, "stream", stream)
    text = write_sample(tmp_path, state, prompt=prompt)
    assert text == "e t" + state.tokenizer.decode(answer[:2])
