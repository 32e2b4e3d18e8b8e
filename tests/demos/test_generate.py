"""Logits, probabilities and draws, against NumPy written out."""

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config
from npgpt.demos import generate
from npgpt.demos.generate import generate_demo, generate_picture, generate_text
from npgpt.text import CharTokenizer

TEXT = "the cat sat on the mat, $5 and the dog"


@pytest.fixture
def tiny(monkeypatch):
    """A small model in place of the one that would be trained."""
    tokenizer = CharTokenizer.from_text(TEXT)
    config = GPT2Config(vocab_size=tokenizer.vocab_size, n_positions=8, n_embd=8, n_layer=1,
                        n_head=2, initializer_range=1.0)
    model = GPT2.init(config, seed=1, dtype=np.float64)
    monkeypatch.setattr(generate, "_train_a_tiny_one", lambda _: (model, tokenizer, "trained"))
    return model, tokenizer


def test_each_step_is_softmax_and_one_draw(tiny):
    model, tokenizer = tiny
    _, trained = generate_demo("the cat s", steps=3, temperature=0.7, seed=2, more=5)
    ids = tokenizer.encode("the cat s").tolist()
    for step in trained.steps:
        assert step.text == tokenizer.decode(ids)
        logits = model.logits(ids[-8:])[-1]
        odds = np.exp(logits / 0.7)
        p = odds / odds.sum()
        order = np.argsort(-logits)
        assert step.tokens == [tokenizer.decode([i]) for i in order[:5]]
        np.testing.assert_allclose(step.logits, logits[order[:5]])
        np.testing.assert_allclose(step.probabilities, p[order[:5]])
        token = int((np.cumsum(p) <= step.u).sum())
        assert (step.taken, step.rank) == (
            tokenizer.decode([token]), order.tolist().index(token) + 1)
        ids.append(token)
    assert trained.text.startswith(tokenizer.decode(ids)) and len(trained.text) == 9 + 3 + 5


def test_greedy_takes_the_most_probable_and_draws_nothing(tiny):
    for writing in generate_demo("the", steps=4, temperature=0.0):
        assert [(step.rank, step.u) for step in writing.steps] == [(1, None)] * 4
        assert [step.taken for step in writing.steps] == [step.tokens[0] for step in writing.steps]


def test_both_models_are_given_the_same_draws(tiny):
    untrained, trained = generate_demo("the", steps=4)
    assert [step.u for step in untrained.steps] == [step.u for step in trained.steps]
    assert (untrained.model, trained.model) == ("untrained", "trained")


def test_the_text_fits_80_columns_whatever_the_tokens(tiny):
    written = generate_demo("the cat sat on the mat, $5 and the dog", steps=2, more=90)
    text = generate_text(written)
    assert max(map(len, text.splitlines())) <= 80
    assert f"u={written[1].steps[0].u:.3f} takes" in text


def test_a_picture_of_dollar_signs_can_be_drawn(tiny, tmp_path):
    pytest.importorskip("matplotlib")
    from npgpt.display.drawing import save

    written = generate_demo("$5$t$", steps=2, candidates=tiny[1].vocab_size)
    save(generate_picture(written), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_a_few_seconds_of_training_make_some_tokens_more_probable(monkeypatch):
    monkeypatch.setattr(generate, "TRAIN_STEPS", 30)
    untrained, trained = generate_demo(steps=1, more=0)
    assert trained.model == "trained for 30 steps" and trained.vocab_size > 50
    assert untrained.steps[0].probabilities.max() < 0.05 < trained.steps[0].probabilities.max()


@pytest.mark.parametrize("settings, says", [
    ({"prompt": ""}, "prompt is empty"), ({"steps": 0}, "steps=0"),
    ({"candidates": 0}, "candidates=0"),
    ({"more": -1}, "more=-1"), ({"temperature": -1.0}, "temperature=-1"),
])
def test_what_does_not_fit_is_named_before_training(monkeypatch, settings, says):
    monkeypatch.setattr(generate, "_train_a_tiny_one", lambda _: pytest.fail("it was trained"))
    with pytest.raises(ValueError, match=says):
        generate_demo(**settings)
