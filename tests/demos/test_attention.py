"""Each step of attention against loops of plain numbers, and a trained model's own weights."""

import math

import numpy as np
import pytest

from npgpt import GPT2, GPT2Config
from npgpt.demos import attention
from npgpt.demos.attention import attention_demo, attention_picture, attention_text
from npgpt.layers.attention import merge_heads, multi_head_attention_forward
from npgpt.probe.trace import trace
from npgpt.text import CharTokenizer


def test_each_step_is_what_it_says_number_by_number():
    shown = attention_demo("a b c a")
    h, t, d = shown.q.shape
    assert (h, t, d) == (2, 4, 4) and shown.tokens == ["a", "b", "c", "a"]
    for head in range(h):
        for i in range(t):
            scores = [math.fsum(q * k for q, k in zip(shown.q[head, i], shown.k[head, j]))
                      for j in range(t)]
            assert shown.scores[head, i].tolist() == pytest.approx(scores)
            odds = [math.exp(score / 2) if j <= i else 0.0 for j, score in enumerate(scores)]
            weights = [odd / math.fsum(odds) for odd in odds]
            assert shown.weights[head, i].tolist() == pytest.approx(weights)
            mixed = [math.fsum(w * v for w, v in zip(weights, shown.v[head, :, c]))
                     for c in range(d)]
            assert shown.mixed[head, i].tolist() == pytest.approx(mixed)
            assert shown.out[i, head * d:(head + 1) * d].tolist() == pytest.approx(mixed)
    assert np.isneginf(shown.masked).sum() == h * t * (t - 1) // 2


def test_the_steps_together_are_the_layer():
    shown = attention_demo()
    qkv = np.concatenate([merge_heads(a[None]) for a in (shown.q, shown.k, shown.v)], axis=-1)
    out, _ = multi_head_attention_forward(qkv, n_head=2)
    np.testing.assert_allclose(shown.out, out[0], rtol=1e-12)


def test_equal_words_have_equal_vectors_and_the_text_says_so():
    text = attention_text(attention_demo("the cat saw the dog"))
    assert "Each 'the' has the same scores" in text
    assert "same scores" not in attention_text(attention_demo("every word differs"))


@pytest.fixture
def trained(monkeypatch):
    tokenizer = CharTokenizer.from_text("the cat\n")
    config = GPT2Config(vocab_size=tokenizer.vocab_size, n_positions=9, n_embd=24, n_layer=2,
                        n_head=3, initializer_range=0.5)
    model = GPT2.init(config, seed=1, dtype=np.float64)
    monkeypatch.setattr(attention, "open_model", lambda path: (model, tokenizer))
    return model, tokenizer


def test_a_models_layer_shows_its_own_weights(trained, tmp_path):
    model, tokenizer = trained
    shown = attention_demo("the cat\n", tmp_path, layer=1, head=2)
    ids = tokenizer.encode("the cat\n")[None]
    kept = trace(model.params, ids, ids, model.config).activations
    np.testing.assert_allclose(shown.weights, kept["h.1.attn.weights"][0], rtol=1e-12)
    np.testing.assert_allclose(shown.out, kept["h.1.attn.mixed"][0], rtol=1e-12)
    text = attention_text(shown)
    assert f"{tmp_path.name}, layer 1" in text and "show head 2" in text and "drawn" not in text


@pytest.mark.parametrize("settings, says", [
    ({"text": " "}, "text is empty"), ({"layer": 1}, "layer=1"), ({"head": 2}, "head=2"),
])
def test_a_wrong_setting_is_named(settings, says):
    with pytest.raises(ValueError, match=says):
        attention_demo(**settings)


def test_a_text_beyond_the_context_and_a_layer_too_many_are_named(trained, tmp_path):
    with pytest.raises(ValueError, match="10 tokens; .* at most 9"):
        attention_demo("the cat th", tmp_path)
    with pytest.raises(ValueError, match="layer=2"):
        attention_demo("the cat", tmp_path, layer=2)


@pytest.mark.parametrize("text", ["one", "a rather long sentence of some more words than fit here",
                                  "吾輩は 猫で ある", "incomprehensibilities incomprehensibilities"])
def test_any_sentence_fits_80_columns_and_can_be_drawn(text, tmp_path):
    shown = attention_demo(text)
    assert max(map(len, attention_text(shown).splitlines())) <= 80
    pytest.importorskip("matplotlib")
    from npgpt.display.drawing import save

    save(attention_picture(shown), tmp_path / "a.png")
