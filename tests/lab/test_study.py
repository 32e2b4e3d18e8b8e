"""What a study's file may say, and what the error says when it says something else."""

import re
from pathlib import Path

import pytest

from npgpt.lab import study as study_module
from npgpt.lab.study import load_study, read_study, shipped

pytestmark = pytest.mark.smoke


def test_axes_give_every_combination_and_arms_come_after(study):
    assert [arm.name for arm in study.arms] == ["layernorm", "none", "hot"]
    assert study.arms[1].changes == {"model": {"norm": "none"}}
    assert study.arms[1].paper == "softmax + GELU" and study.arms[2].paper is None


def test_two_axes_are_multiplied_and_named_by_their_values(toml, write_study):
    study = write_study(toml.replace(
        '"model.norm" = ["layernorm", "none"]',
        'model.n_layer = [1, 2]\n"model.final_norm" = [true, false]').split("[paper]")[0])
    assert [arm.name for arm in study.arms[:4]] == [
        "n_layer 1, final_norm true", "n_layer 1, final_norm false",
        "n_layer 2, final_norm true", "n_layer 2, final_norm false"]
    assert study.run_config(study.arms[3], 1).model["final_norm"] is False


def test_seeds_are_outermost_so_that_a_stopped_study_has_whole_seeds(study):
    assert [(arm.name, seed) for arm, seed in study.runs()] == [
        ("layernorm", 1), ("none", 1), ("hot", 1), ("layernorm", 2), ("none", 2), ("hot", 2)]


def test_a_run_has_the_base_its_arm_and_its_seed(study):
    config = study.run_config(study.arms[2], 2)
    assert config.train.seed == 2 and config.train.learning_rate == 1e39
    assert config.train.max_steps == 12 and config.model["n_embd"] == 16
    # the numbers must not depend on how many runs go at a time
    assert config.train.threads == 1 and config.train.sample_every == 0


def test_without_comparisons_all_are_compared_with_the_first(toml, write_study):
    study = write_study(toml.split("[[compare]]")[0])
    assert [(pair.arm, pair.against) for pair in study.compare] == [
        ("none", "layernorm"), ("hot", "layernorm")]


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_studies_are_sound_and_bear_their_files_names(name):
    study = load_study(name)
    assert study.name == name and len(study.seeds) >= 2 and study.compare
    assert study.run_config(study.arms[0], 1).train.watched == ("entropy",)


def test_the_study_that_the_readme_shows_is_sound(write_study):
    readme = Path(study_module.__file__).with_name("README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```", readme, re.M | re.S)
    study = write_study(shown)
    assert [arm.name for arm in study.arms] == ["gelu", "relu", "relu, faster"]
    assert [pair.claim for pair in study.compare] == ["lower"]


@pytest.mark.parametrize("old, new, says", [
    ('title = "A tiny study"', "", "needs title"),
    ('name = "tiny"', 'name = "a/b"', "letters, digits and hyphens"),
    ("seeds = [1, 2]", "seeds = []", "different integers"),
    ("seeds = [1, 2]", "seeds = [1, 1]", "different integers"),
    ("seeds = [1, 2]", "seeds = [1, true]", "different integers"),
    ("seeds = [1, 2]", "sedes = [1, 2]", "did you mean 'seeds'"),
    ("n_layer = 2", "n_layers = 2", "did you mean 'n_layer'"),
    ("n_head = 2", "n_head = 3", "does not divide"),
    ("max_steps = 12", "seed = 3", r"seeds belong in \[study\]"),
    ("max_steps = 12", "max_minutes = 3", "--max-minutes"),
    ("max_steps = 12", "max_steps = 0", "max_steps=0"),
    ("[axes]", "[axis]", "did you mean 'axes'"),
    ('"model.norm" = ["layernorm", "none"]', '"model.norm" = []', "at least one value"),
    ('"model.norm" = ["layernorm", "none"]', '"model.nrom" = ["none"]', "did you mean 'norm'"),
    ('"model.norm" = ["layernorm", "none"]', '"data.corpus" = ["a"]', "model.KEY"),
    ('["layernorm", "none"]', '["layernorm", "none", "nine"]', "arm 'nine'.*mean 'none'"),
    ('name = "hot"', 'name = "None"', "share the folder none"),
    ('name = "hot"', "", "needs name"),
    ('"none" = "softmax + GELU"', '"nnoe" = "softmax + GELU"', "did you mean 'none'"),
    ('"none" = "softmax + GELU"', '"none" = "GELU"', "unknown row paper='GELU'"),
    ('"none" = "softmax + GELU"', '"none" = ["GELU"]', r"unknown row paper=\['GELU'\]"),
    ('"none" = "softmax + GELU"', '"none" = { a = 1 }', "unknown row paper={'a': 1}"),
    ('against = "layernorm"', 'against = "layer"', "did you mean 'layernorm'"),
    ('against = "layernorm"', 'against = "none"', "against itself"),
    ('claim = "higher"', 'claim = "better"', "must be lower or higher"),
    ("[study]", "[study", "not valid TOML"),
    ("[base.data]", "[base.date]", "did you mean 'data'"),
])
def test_mistakes_are_reported_in_one_line_that_names_the_file(toml, write_study, old, new, says):
    assert old in toml
    with pytest.raises(ValueError, match=says) as raised:
        write_study(toml.replace(old, new))
    assert "tiny.toml" in str(raised.value) and "\n" not in str(raised.value)


def test_a_study_without_arms_is_rejected(toml, write_study):
    with pytest.raises(ValueError, match="no arms"):
        write_study(toml.split("[axes]")[0])


def test_an_unknown_study_raises_an_error_that_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'small'"):
        load_study("smal")
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_study(tmp_path / "latin.toml")


def test_an_arm_is_found_by_its_name_and_by_its_folders(toml, write_study):
    study = write_study(toml.replace('name = "hot"', 'name = "Very hot, indeed"'))
    assert study.arm("very-hot-indeed") is study.arm("Very hot, indeed")
    with pytest.raises(ValueError, match="did you mean 'layernorm'"):
        study.arm("layernom")
