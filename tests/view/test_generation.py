"""Generation step by step is generation: the same tokens, and the filters' own probabilities."""

import numpy as np
import pytest

from npgpt import GPT2
from npgpt.generation.sampling import Sampling, log_probability
from npgpt.view.generation import TEMPERATURES, generation

from .models import subject, window

pytestmark = pytest.mark.smoke


@pytest.mark.parametrize("settings", [
    {"temperature": 0.8, "top_k": 4, "top_p": 0.9}, {"temperature": 0.0}, {"temperature": 1.7},
    {"temperature": 1.0, "top_k": 3}, {"temperature": 0.5, "top_p": 0.6},
])
def test_the_tokens_are_those_of_generate(settings):
    model, ids = subject(), window(5).ids
    found = generation(model.params, model.config, model.tokenizer, ids, 6, Sampling(**settings), 3)
    wanted = GPT2(model.config, model.params).generate(ids, 6, seed=3, **settings)
    assert [step["chosen"] for step in found["steps"]] == wanted[5:].tolist()
    assert found["text"] == model.tokenizer.decode(wanted)
    assert [step["cache"] for step in found["steps"]] == list(range(5, 11))
    assert [step["read"] for step in found["steps"]] == [5, 1, 1, 1, 1, 1]


def test_every_candidate_has_the_probabilities_of_each_stage():
    model, ids = subject(), window(5).ids
    sampling = Sampling(0.7, 5, 0.8)
    found = generation(model.params, model.config, model.tokenizer, ids, 3, sampling, 1)
    text, full = list(ids), GPT2(model.config, model.params)
    for step in found["steps"]:
        logits = full.logits(np.array(text))[-1]
        final = sampling.distribution(logits)
        for each in step["candidates"]:
            assert each["logit"] == pytest.approx(logits[each["id"]])
            assert np.log(each["p"]) == pytest.approx(log_probability(logits, each["id"]))
            assert each["final"] == pytest.approx(final[each["id"]])
            for temperature, lse in zip(TEMPERATURES, step["lse"]):
                scaled = Sampling(temperature).distribution(logits)[each["id"]]
                assert np.exp(each["logit"] / temperature - lse) == pytest.approx(scaled)
        removed = [each for each in step["candidates"] if not each["top_k"]]
        assert len(removed) == 5 == 10 - step["kept"]["top_k"]
        assert step["cut"]["top_k"] == pytest.approx(sum(each["warm"] for each in removed))
        assert step["kept"]["top_p"] == int((final > 0).sum())
        text.append(step["chosen"])


def test_it_ends_where_the_context_does():
    model, ids = subject(), window(11).ids
    found = generation(model.params, model.config, model.tokenizer, ids, 20)
    assert len(found["steps"]) == 6 and found["steps"][-1]["cache"] == 16
    assert found["reason"] == "the context of 16 tokens is full"


def test_logits_that_are_not_finite_give_a_reason_and_no_token():
    model = subject()
    model.params["ln_f.weight"][3] = np.nan
    found = generation(model.params, model.config, model.tokenizer, window().ids)
    assert found["steps"] == [] and "not finite" in found["reason"]
