"""Settings that do not go together are rejected in one line, and a preset goes with the rest."""

import pytest

from npgpt.training.asked import check_asked


@pytest.mark.parametrize("asked, preset, message", [
    ({"lora_rank": 8}, None, "--lora-rank needs --from"),
    ({"lora_rank": 8}, "gpt2", "--lora-rank needs --from"),
    ({"init_from": "m", "lora_on": "c_attn"}, None, "--lora-on belongs to --lora-rank"),
    ({"lora_alpha": 4.0}, None, "--lora-alpha belongs to --lora-rank"),
    ({"init_from": "m", "labels": "a,b"}, None, "--labels belongs to --task classify"),
    ({"task": "instruct"}, None, "--task instruct is for a model that was trained before"),
    ({"init_from": "scratch"}, None, "--from scratch: leave it out"),
    ({}, "lora", "the preset lora needs --from"),
])
def test_settings_that_mean_nothing_together_are_rejected(asked, preset, message):
    with pytest.raises(ValueError, match=message):
        check_asked(asked, preset)


@pytest.mark.parametrize("asked, preset, wanted", [
    ({}, None, None), ({"init_from": "m"}, None, "finetune"), ({}, "gpt2", "gpt2"),
    ({"init_from": "m", "lora_rank": 2, "lora_on": "c_attn"}, None, "lora"),
    ({"init_from": "m", "lora_on": "c_attn"}, "lora", "lora"),
    ({"init_from": "m", "task": "classify", "labels": "a,b"}, None, "finetune"),
    ({"lora_alpha": 0.0, "lora_on": "", "lora_rank": 0, "labels": ""}, None, None),
])
def test_the_preset_goes_with_what_is_asked(asked, preset, wanted):
    assert check_asked(asked, preset) == wanted
