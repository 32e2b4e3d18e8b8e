"""Settings: presets, files and flags, and what does not fit."""

import math
import re
import tomllib
from dataclasses import asdict, replace

import pytest

from npgpt.training.settings import (
    PRESETS,
    RunConfig,
    TrainSettings,
    build,
    read_toml,
    resolve,
    table_fields,
)


def written(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_resolves_to_a_model_and_back_through_toml(preset):
    run = resolve(preset)
    again = build(tomllib.loads(run.to_toml()))
    assert again == run
    assert run.model_config(65).vocab_size == 65


def test_the_cpu_recipe_has_nanogpts_figures():
    run = resolve("shakespeare-char")
    model, train = run.model_config(65), run.train
    assert (model.n_layer, model.n_head, model.n_embd, model.n_positions) == (4, 4, 128, 64)
    assert (train.batch_size, train.max_steps, train.warmup_steps) == (12, 2000, 100)
    assert (train.learning_rate, train.min_learning_rate) == (1e-3, 1e-4)
    assert (train.beta1, train.beta2, train.weight_decay, train.grad_clip) == (0.9, 0.99, 0.1, 1.0)
    assert model.resid_pdrop == model.embd_pdrop == model.attn_pdrop == 0.0


def test_flags_win_over_the_file_and_the_file_over_the_preset(tmp_path):
    path = written(tmp_path, "[train]\nmax_steps = 7\nseed = 5\n[model]\nn_layer = 3\n")
    run = resolve("shakespeare-char", path, {"seed": 9, "n_embd": 64})
    assert (run.train.max_steps, run.train.seed) == (7, 9)
    assert (run.model["n_layer"], run.model["n_embd"]) == (3, 64)
    assert run.data.corpus == "shakespeare"


@pytest.mark.parametrize("text, says", [
    ("[train]\nlerning_rate = 1e-3\n", "did you mean 'learning_rate'"),
    ("[model]\nn_layers = 3\n", "did you mean 'n_layer'"),
    ("[trian]\nseed = 3\n", "did you mean 'train'"),
    ("[model]\nlearning_rate = 1e-3\n", "it belongs in [train]"),
    ("[train\n", "not valid TOML"),
    ("train = 3\n", "must be a table"),
    ("n_layer = 3\n", "belongs in [model]"),
    ("[model]\nvocab_size = 3\n", "the tokenizer decides"),
])
def test_what_a_file_gets_wrong_is_named_with_what_would_fit(tmp_path, text, says):
    path = written(tmp_path, text)
    with pytest.raises(ValueError) as caught:
        read_toml(path)
    assert says in str(caught.value) and str(path) in str(caught.value)


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "run.toml"
    path.write_bytes(b"[train]\nseed = \xff\n")
    with pytest.raises(ValueError, match="not UTF-8 text: invalid byte 0xff at 15"):
        read_toml(path)


@pytest.mark.parametrize("flags, says", [
    ({"max_steps": 0}, "max_steps=0"),
    ({"max_steps": 1.5}, "max_steps=1.5"),
    ({"batch_size": True}, "batch_size=True"),
    ({"learning_rate": float("nan")}, "learning_rate=nan"),
    ({"learning_rate": "fast"}, "learning_rate='fast'"),
    ({"min_learning_rate": 1.0}, "is above"),
    ({"beta2": 1.0}, "beta2=1.0"),
    ({"dtype": "float16"}, "expected float32 or float64"),
    ({"recompute": 1}, "true or false"),
    ({"n_head": 5}, "does not divide"),
    ({"sequence_length": 65}, "more than n_positions=64"),
    ({"val_fraction": 1.0}, "val_fraction=1.0"),
    ({"corpus": 3}, "corpus=3"),
    ({"n_layers": 3}, "unknown setting 'n_layers' (did you mean 'n_layer'?)"),
    ({5: 3}, "unknown setting 5"),
])
def test_an_invalid_value_is_named(flags, says):
    with pytest.raises(ValueError) as caught:
        resolve("shakespeare-char", None, flags)
    assert says in str(caught.value)


def test_an_unknown_preset_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'shakespeare-char'"):
        resolve("shakespear-char")


def test_vocabulary_size_is_not_a_setting_of_a_run():
    assert "vocab_size" not in table_fields()["model"]


def test_a_path_with_quotes_and_breaks_survives_toml():
    name = 'a "b"\\c\n\x7fé🎈'
    run = resolve(None, None, {"corpus": name})
    assert tomllib.loads(run.to_toml())["data"]["corpus"] == name


@pytest.mark.parametrize("rate", [1.0, 1e16, 1e22, 1e-8, 5e-324, 0.1 + 0.2])
def test_a_number_survives_toml_in_every_digit(rate):
    run = resolve(None, None, {"learning_rate": rate, "min_learning_rate": 0.0})
    again = tomllib.loads(run.to_toml())["train"]["learning_rate"]
    assert again == rate and type(again) is float


def test_a_run_config_knows_its_sequence_length():
    assert resolve("shakespeare-char").sequence_length == 64
    assert resolve("shakespeare-char", None, {"sequence_length": 16}).sequence_length == 16
    assert isinstance(resolve(), RunConfig)


def test_what_is_watched_and_when():
    train = TrainSettings(watch="updates, entropy, ,", watch_every=40, max_steps=100)
    assert train.watched == ("updates", "entropy")
    assert [step for step in range(101) if train.watches(step)] == [0, 40, 80, 100]
    assert not TrainSettings().watches(0)
    with pytest.raises(ValueError, match=r"unknown name 'gradient' \(did you mean 'gradients'"):
        TrainSettings(watch="gradient")


def test_the_entropy_penalty_and_recompute_are_rejected_together():
    with pytest.raises(ValueError, match="excludes entropy_penalty"):
        resolve(flags={"recompute": True, "entropy_penalty": 1e-5})


def test_every_number_has_a_smallest_value_and_none_beyond_its_bounds_is_taken():
    from_one = {"max_steps", "batch_size", "grad_accumulation", "eval_every", "sample_tokens",
                "checkpoint_every", "keep_checkpoints", "watch_every"}
    base = TrainSettings(min_learning_rate=0.0)
    for name, default in asdict(base).items():
        least = int(name in from_one)
        outside = {int: [least - 1], float: [-1e-9, math.inf]}.get(type(default), [])
        for value in outside + [1.0] * name.startswith("beta"):
            with pytest.raises(ValueError, match=re.escape(f"{name}={value} must be")) as caught:
                replace(base, **{name: value})
            fits = "of at least" if type(default) is int else \
                "in [0, 1)" if name.startswith("beta") else "finite and at least 0"
            assert fits in str(caught.value)
        if outside:
            replace(base, **{name: type(default)(least)})
