"""Results are gathered from what real runs wrote, at any moment."""

import json
import math

import pytest

from npgpt.lab.folder import adopt
from npgpt.lab.results import load_results, number, write_results
from npgpt.lab.runner import run_study

from .conftest import Report


def test_a_finished_study_has_every_number_a_report_needs(finished):
    results = write_results(finished.folder)
    assert results["complete"] and results["made_with"][0]["cores"] >= 1
    assert results["corpus"]["held_back_tokens"] > 0
    assert results["settings"]["model"]["n_embd"] == 16
    first, _, hot, *_ = results["runs"]
    assert first["perplexity"] == pytest.approx(math.exp(first["val_loss"]))
    assert [step for step, _ in first["val"]] == [0, 6, 12] and len(first["train"]) == 12
    entropy = first["entropy"]
    assert entropy["steps"] == [0, 6, 12] and len(entropy["nats"][0]) == 2
    assert entropy["bound"] == pytest.approx(math.lgamma(9) / 8, rel=1e-5)
    assert first["seconds"] > 0 and first["parameters"] > 1000
    assert hot["status"] == "diverged" and hot["val_loss"] is None and hot["diverged_at"] >= 1
    assert "loss" in hot["said"] or "NaN" in hot["said"]
    json.dumps(results, allow_nan=False)
    assert load_results(finished.folder) == results
    assert load_results(finished.folder / "results.json") == results


def test_the_last_loss_is_over_all_held_out_text(finished):
    from npgpt.evaluation.text import score_text
    from npgpt.lab.folder import runs_of
    from npgpt.text import load_corpus
    from npgpt.training.checkpoint import load_checkpoint

    run = runs_of(finished.folder, finished.study)[1]
    state = load_checkpoint(run.place)
    val = load_corpus(run.config.data.corpus, state.tokenizer, 0.1).val
    found = score_text(state.params, state.config, val, stride=None, batch_size=2, start_id=None)
    assert run.result()["val_loss"] == pytest.approx(found.loss, rel=1e-4)


def test_learnt_slopes_are_read_from_the_last_checkpoint(tmp_path, toml, write_study):
    study = write_study(toml.replace('name = "hot"', 'name = "leaky"').replace(
        "train = { learning_rate = 1e39, warmup_steps = 0 }",
        'model = { activation_function = "leaky_relu" }'))
    run_study(tmp_path / "out", study, Report(), only=["leaky"])
    slopes = write_results(tmp_path / "out")["runs"][2]["slopes"]
    assert set(slopes) == {"h.0.mlp.act.slope", "h.1.mlp.act.slope"}
    assert all(abs(value - 0.01) < 0.05 and value != 0.01 for value in slopes.values())


def test_before_anything_ran_the_results_say_so(tmp_path, study):
    (tmp_path / "out").mkdir()
    adopt(tmp_path / "out", study)
    results = write_results(tmp_path / "out")
    assert not results["complete"] and {run["status"] for run in results["runs"]} == {"waiting"}


def test_numbers_that_are_not_finite_are_text():
    assert math.isnan(number("nan")) and number("inf") == math.inf and math.isnan(number(None))


@pytest.mark.parametrize("content, says", [
    (None, "neither a study's folder"), ("[]", "results.json is not a JSON object"),
    ("{}", "results.json: study: is missing"), ("{", "results.json is not valid JSON")])
def test_what_is_not_a_result_is_an_error(tmp_path, content, says):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=says):
        load_results(path)
