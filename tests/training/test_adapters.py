"""The base model of an adapter's run; test_initial.py trains, saves and resumes such runs."""

import numpy as np

from npgpt.training.adapters import base_crc32, base_of_run, trains_adapter
from npgpt.training.settings import resolve


def test_updates_alone_are_saved_where_they_stand_beside_another_models_weights():
    for flags, wanted in (({"lora_rank": 2, "init_from": "gpt2"}, True), ({"lora_rank": 2}, False),
                          ({"init_from": "gpt2"}, False)):
        run = resolve(flags=flags)
        assert trains_adapter(run, run.model_config(11)) == wanted
        assert base_of_run(run) == flags.get("init_from", "")


def test_the_crc32_is_that_of_the_base_and_not_of_the_updates_or_a_new_head():
    params = {"wte.weight": np.arange(6.0), "h.0.c.lora_A": np.ones(3), "score.weight": np.ones(2)}
    crc = base_crc32(params)
    assert crc == base_crc32({**params, "h.0.c.lora_A": np.zeros(3), "score.weight": np.zeros(4)})
    assert crc != base_crc32({**params, "wte.weight": np.arange(1.0, 7.0)})
