"""The entries of a page: values, gradients, worked cells, and what a large model leaves out."""

import numpy as np
import pytest

from npgpt.view.encoding import decoded
from npgpt.view.entries import all_fits, columns, entries, layer_texts, left_out, worked

from .models import SMALL, trace_of

pytestmark = pytest.mark.smoke


def numbers(entry, which, everything):
    packed = entry[which]
    while "same" in packed:
        packed = next(e for e in everything if e["name"] == packed["same"])[which]
    return decoded(packed)


@pytest.mark.parametrize("changes", [{}, {"residual": False}, {"activation_function": "swiglu"},
                                     {"weight_norm": True, "frozen_biases": True},
                                     {"scale_attn_by_inverse_layer_idx": True}], ids=str)
@pytest.mark.parametrize("exact", [True, False])
def test_every_step_of_a_sequence_has_its_values_and_gradients(changes, exact):
    seen = trace_of(**changes)
    found = entries(seen, columns(seen, exact), False, exact)
    assert [e["name"] for e in found if e["kind"] == "tape"] == list(seen.steps)
    near = {"rtol": 1e-12} if exact else {"rtol": 5.01e-3}
    for entry in found:
        if entry["kind"] != "tape" or entry["shape"][:1] != [1]:
            continue
        one = seen.steps[entry["name"]]
        for which, array in (("value", one.out[0]), ("gradient", one.gradient[0])):
            np.testing.assert_allclose(numbers(entry, which, found), array, **near)
            np.testing.assert_allclose(decoded(entry["by_position"][which]),
                                       np.sqrt((array ** 2).mean(-1)), **near)
            assert entry["stats"][which]["max"] == array.max()


def test_a_layernorm_can_be_computed_from_what_its_entry_holds():
    seen = trace_of()
    found = {e["name"]: e for e in entries(seen, columns(seen, True), False, True)}
    entry = found["h.1.ln_2"]
    x = decoded(found[entry["inputs"][0]["name"]]["value"])
    mean, rstd = (decoded(entry["moments"][name])[:, None] for name in ("mean", "rstd"))
    weight, bias = (decoded(entry["vectors"][name]) for name in ("weight", "bias"))
    np.testing.assert_allclose((x - mean) * rstd * weight + bias, decoded(entry["value"]),
                               rtol=1e-12)


def test_the_terms_of_a_worked_cell_sum_to_its_value():
    seen = trace_of()
    for name in ("h.0.attn.c_attn", "h.1.mlp.c_proj", "logits"):
        entry = next(e for e in entries(seen, columns(seen, True), False, True)
                     if e["name"] == name)
        assert len(entry["worked"]) >= 3
        for cell in [*entry["worked"], worked(seen.steps[name], (3, 5))]:
            total = sum(x * w for _, x, w in cell["terms"]) + cell["rest"] + (cell["bias"] or 0.0)
            assert total == pytest.approx(cell["value"], rel=1e-10)
            t, c = cell["index"]
            assert cell["gradient"] == seen.steps[name].gradient[0, t, c]
    for index in ((11, 0), (0, 10), (-1, 0)):
        with pytest.raises(ValueError, match="outside logits, whose shape is"):
            worked(seen.steps["logits"], index)


@pytest.mark.parametrize("changes", [{}, {"scale_attn_weights": False}], ids=str)
def test_of_a_large_model_some_channels_are_kept_and_the_page_says_which(monkeypatch, changes):
    monkeypatch.setattr("npgpt.view.entries.MOST_NUMBERS", 2000)
    seen = trace_of(**changes)
    kept = columns(seen, False)
    found = {e["name"]: e for e in entries(seen, kept, False, False)}
    stored = sum(len(e[w]["data"]) / 2.5 for e in found.values() for w in ("value", "gradient")
                 if e[w] and "data" in e[w])
    assert stored < 2500
    # the same channels for all that the residual connections join
    entry, before = found["h.1.residual_1"], found["h.0.residual_2"]
    assert entry["columns"] == before["columns"] == found["h.1.attn.c_proj"]["columns"]
    np.testing.assert_allclose(decoded(entry["value"]),
                               seen.steps["h.1.residual_1"].out[0][:, entry["columns"]], rtol=5e-3)
    assert found["h.1.mlp.c_fc"]["columns"] == found["h.1.mlp.act"]["columns"]
    assert len(found["h.0.attn.c_attn"]["columns"]) == 3 * len(found["h.0.attn.mixed"]["columns"])
    assert any("channels" in sentence for sentence in left_out(seen, kept))
    assert columns(seen, True).stream is None
    assert not all_fits(SMALL, 11)


def test_the_texts_of_the_layers_are_the_textbooks_own():
    texts = layer_texts(trace_of())
    assert set(texts) > {"layernorm", "linear", "multi_head_attention", "residual", "cross_entropy"}
    assert texts["layernorm"]["file"] == "npgpt/layers/layernorm.py"
    assert "dx    = rstd * (dxhat - mean(dxhat)" in texts["layernorm"]["formula"]
    assert "def layernorm_backward" in texts["layernorm"]["text"]
