from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import npgpt
from npgpt import GPT2, GPT2Config
from npgpt import model as functions
from npgpt.fast.ops import FAST
from npgpt.generation.language_model import LanguageModel
from npgpt.generation.quantized import dequantize, quantize
from npgpt.ops import TEXTBOOK
from npgpt.tape import Op

pytestmark = pytest.mark.smoke

IDS, TARGETS = np.array([[3, 1, 3], [0, 7, 10]]), np.array([[1, 3, 4], [7, -100, 2]])


def test_the_public_face_is_importable_from_npgpt():
    assert set(npgpt.__all__) >= {"GPT2", "GPT2Config", "Tape", "Var", "Op"}
    assert all(hasattr(npgpt, name) for name in npgpt.__all__)


def test_a_model_is_its_config_and_parameters(small_config):
    model = GPT2.init(small_config, seed=3)
    assert model.config is small_config
    assert {a.dtype for a in model.params.values()} == {np.dtype(np.float32)}
    again, other = GPT2.init(small_config, seed=3), GPT2.init(small_config, seed=4)
    np.testing.assert_array_equal(model.params["wte.weight"], again.params["wte.weight"])
    assert (model.params["wte.weight"] != other.params["wte.weight"]).any()
    assert model.n_parameters() == sum(a.size for a in model.params.values())


def test_parameters_that_do_not_fit_the_config_are_rejected_all_at_once(small_config):
    params = GPT2.init(small_config).params
    with pytest.raises(ValueError, match="h.2.ln_1.weight is missing; .*h.2.mlp.c_proj.bias"):
        GPT2(small_config.replace(n_layer=3), params)
    with pytest.raises(ValueError, match=r"wte.weight has shape \(11, 8\).*needs \(12, 8\)"):
        GPT2(small_config.replace(vocab_size=12), params)


def test_one_text_and_a_batch_of_texts_both_get_logits(small_model):
    batch = small_model.logits(IDS)
    assert batch.shape == (2, 3, 11)
    assert small_model.logits(IDS[0]).shape == (3, 11)
    np.testing.assert_allclose(small_model.logits(IDS[1].tolist()), batch[1], rtol=1e-12)


def test_logits_are_those_of_the_textbook(small_model):
    expected = functions.logits(small_model.params, IDS, small_model.config)
    np.testing.assert_allclose(small_model.logits(IDS), expected, rtol=1e-10)


def test_loss_and_gradients_are_those_of_the_textbook(small_model):
    textbook = GPT2(small_model.config, small_model.params, ops=TEXTBOOK)
    expected_loss, expected = textbook.loss_and_grads(IDS, TARGETS)
    loss, grads = small_model.loss_and_grads(IDS, TARGETS)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    for name, grad in expected.items():
        np.testing.assert_allclose(grads[name], grad, rtol=1e-9, atol=1e-12)


def test_loss_is_a_float_and_the_same_with_and_without_gradients(small_model):
    loss = small_model.loss(IDS, TARGETS)
    with_grads, grads = small_model.loss_and_grads(IDS, TARGETS)
    assert type(loss) is float and type(with_grads) is float
    assert loss == pytest.approx(with_grads, rel=1e-12)
    assert list(grads) == list(small_model.params)
    for name, array in small_model.params.items():
        assert grads[name].shape == array.shape and grads[name].dtype == array.dtype


def test_one_text_costs_the_same_as_a_batch_of_one(small_model):
    assert small_model.loss(IDS[0], TARGETS[0]) == small_model.loss(IDS[:1], TARGETS[:1])


def test_computing_changes_no_parameter(small_model):
    before = copy.deepcopy(small_model.params)
    small_model.logits(IDS)
    small_model.loss_and_grads(IDS, TARGETS, rng=np.random.default_rng(0))
    for name, array in before.items():
        np.testing.assert_array_equal(array, small_model.params[name])


def test_dropout_happens_only_where_a_random_source_is_passed(small_model):
    calm, _ = small_model.loss_and_grads(IDS, TARGETS)
    dropped, _ = small_model.loss_and_grads(IDS, TARGETS, rng=np.random.default_rng(0))
    assert calm == pytest.approx(small_model.loss(IDS, TARGETS), rel=1e-12)
    assert abs(dropped - calm) > 1e-3


def test_a_step_against_the_gradient_lowers_the_loss(small_model):
    before, grads = small_model.loss_and_grads(IDS, TARGETS)
    for name, grad in grads.items():
        small_model.params[name] = small_model.params[name] - 1e-4 * grad
    squared = sum(float((g * g).sum()) for g in grads.values())
    fall = before - small_model.loss(IDS, TARGETS)
    assert fall == pytest.approx(1e-4 * squared, rel=0.05)


def test_a_layer_of_ones_own_computes_in_place_of_the_textbooks(small_config):
    calls = []

    def layernorm_forward(x, weight, bias, *, eps):
        calls.append("forward")
        return TEXTBOOK.layernorm.forward(x, weight, bias, eps=eps)

    def layernorm_backward(dout, cache):
        calls.append("backward")
        return TEXTBOOK.layernorm.backward(dout, cache)

    mine = replace(TEXTBOOK, layernorm=Op("layernorm", layernorm_forward, layernorm_backward))
    params = GPT2.init(small_config, dtype=np.float64).params
    model = GPT2(small_config, params, ops=mine)
    loss, grads = model.loss_and_grads(IDS, TARGETS)
    assert calls == 5 * ["forward"] + 5 * ["backward"]
    expected, expected_grads = GPT2(small_config, params, ops=TEXTBOOK).loss_and_grads(IDS, TARGETS)
    assert loss == expected
    for name, grad in expected_grads.items():
        np.testing.assert_array_equal(grads[name], grad)
    assert model.generate([1, 2], 3, temperature=0).shape == (5,)


@pytest.mark.parametrize("ops", [FAST, TEXTBOOK])
def test_a_model_can_be_copied_and_pickled(small_model, ops):
    model = GPT2(small_model.config, small_model.params, ops)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.ops == ops and again.config == model.config
        assert again.params["wte.weight"] is not model.params["wte.weight"]
        np.testing.assert_array_equal(again.logits(IDS), model.logits(IDS))
        np.testing.assert_array_equal(again.generate([1, 2], 3, seed=0),
                                      model.generate([1, 2], 3, seed=0))


def test_ops_that_are_none_are_rejected(small_model):
    with pytest.raises(ValueError, match="ops must be an Ops, such as npgpt.TEXTBOOK; got"):
        GPT2(small_model.config, small_model.params, ops=np)


def test_the_entropy_penalty_is_in_the_gradients_as_in_training(small_config):
    config = small_config.replace(entropy_penalty=0.5)
    model = GPT2.init(config, dtype=np.float64)
    loss, grads = model.loss_and_grads(IDS, TARGETS)
    assert loss == pytest.approx(float(functions.training_loss(model.params, IDS, TARGETS, config)))
    assert grads["h.0.attn.entropy_target"].any() and model.loss(IDS, TARGETS) < loss


def test_a_saved_model_loads_as_it_was(small_model, tmp_path):
    small_model.save(tmp_path / "model")
    loaded = GPT2.load(tmp_path / "model")
    assert loaded.config == small_model.config
    assert set(loaded.params) == set(small_model.params)
    for name, array in small_model.params.items():
        np.testing.assert_array_equal(loaded.params[name], array)
    np.testing.assert_array_equal(loaded.logits(IDS), small_model.logits(IDS))


def test_generation_gives_prompt_and_continuation_and_repeats_itself_for_a_seed(small_model):
    one = small_model.generate(IDS[0], 2, seed=5)
    assert one.shape == (5,)
    np.testing.assert_array_equal(one[:3], IDS[0])
    np.testing.assert_array_equal(one, small_model.generate(IDS[0], 2, seed=5))
    both = small_model.generate(IDS[:, :1], 2, temperature=0)
    assert both.shape == (2, 3)
    for text in both:
        for t in (1, 2):
            assert text[t] == small_model.logits(text[:t])[-1].argmax()


def test_generation_from_rounded_weights_is_that_of_the_rounded_model(small_model):
    rounded = GPT2(small_model.config,
                   dequantize(quantize(small_model.params, small_model.config)), ops=TEXTBOOK)
    settings = {"seed": 2, "on_slide": lambda row: None}
    small, expected = small_model.quantized(), rounded.generate(IDS[0], 5, **settings)
    for got in (small.generate(IDS[0], 5, **settings),
                LanguageModel(small.config, small.params, TEXTBOOK).generate(
                    IDS[0], 5, **settings)):
        np.testing.assert_array_equal(got, expected)
    stream = [token.id for token in small.stream(IDS[0], 5, **settings)]
    assert stream == small.complete(IDS[0], 5, **settings)[0].ids.tolist() == expected[3:].tolist()


@pytest.mark.parametrize("write", [
    lambda model: model.generate(IDS[0], 6, temperature=0),
    lambda model: [*IDS[0], *(t.id for t in model.stream(IDS[0], 6, temperature=0))],
    lambda model: [*IDS[0], *model.complete(IDS[0], 6, temperature=0)[0].ids],
], ids=["generate", "stream", "complete"])
def test_a_text_that_outgrows_the_context_warns_once_at_the_callers_line(small_model, write):
    with pytest.warns(UserWarning, match="outgrew the context: .* the last 5") as caught:
        got = write(small_model)
    assert [w.filename for w in caught] == [__file__]
    for t in range(5, 9):
        assert got[t] == small_model.logits(got[max(0, t - 5):t])[-1].argmax()


def test_tokens_come_one_by_one_or_with_their_log_probabilities(small_model):
    whole = small_model.generate(IDS[0], 2, temperature=0)
    tokens = list(small_model.stream(IDS[0], 2, temperature=0))
    assert [token.id for token in tokens] == whole[3:].tolist()
    (completion,) = small_model.complete(IDS[0], 2, temperature=0)
    np.testing.assert_array_equal(completion.ids, whole[3:])
    logits = small_model.logits(whole[:4])
    for t, logprob in ((2, completion.logprobs[0]), (3, completion.logprobs[1])):
        p = np.exp(logits[t] - logits[t].max())
        assert logprob == pytest.approx(np.log(p[whole[t + 1]] / p.sum()), rel=1e-5)


@pytest.mark.parametrize("config", ["gpt2", {"n_layer": 2}, None])
def test_what_is_no_config_is_rejected_with_what_would_be_one(config):
    with pytest.raises(ValueError, match="GPT2Config.named"):
        GPT2.init(config)
    with pytest.raises(ValueError, match="GPT2Config.named"):
        GPT2(config, {})


@pytest.mark.parametrize("array, says", [
    (np.ones(8, np.int64), "ln_f.bias is int64, expected an array of float32 or float64"),
    (np.ones(8, np.float16), "ln_f.bias is float16"),
    ([1.0] * 8, "ln_f.bias is list"),
    (None, "ln_f.bias"),
])
def test_parameters_that_are_not_floats_are_named(small_model, array, says):
    with pytest.raises(ValueError, match=says):
        GPT2(small_model.config, {**small_model.params, "ln_f.bias": array})


def test_a_session_writes_what_generate_writes(small_model):
    session = small_model.session(seed=3)
    session.extend([1, 2])
    first = [token.id for token in session.reply(2)]
    np.testing.assert_array_equal([1, 2, *first], small_model.generate([1, 2], 2, seed=3))


def test_parameters_that_were_replaced_are_the_ones_that_write(small_model):
    small_model.params = {name: array.copy() for name, array in small_model.params.items()}
    small_model.params["wte.weight"][4] *= 100.0
    assert small_model.generate([4], 1, temperature=0)[1] == small_model.logits([4])[0].argmax()


OUTSIDE = r"is outside the vocabulary \[0, 11\)"
BAD_IDS = {
    "negative": ([1, -1], f"-1 {OUTSIDE}"),
    "just past the vocabulary": ([1, 11], f"11 {OUTSIDE}"),
    "2**31": ([2**31], f"2147483648 {OUTSIDE}"),
    "2**63": ([2**63], f"9223372036854775808 {OUTSIDE}"),
    "2**64": ([1, 2**64], f"18446744073709551616 {OUTSIDE}"),
    "-2**63": ([-(2**63)], f"-9223372036854775808 {OUTSIDE}"),
    "-2**63 - 1": ([-(2**63) - 1], f"-9223372036854775809 {OUTSIDE}"),
    "2**63 as uint64": (np.array([2**63], np.uint64), f"9223372036854775808 {OUTSIDE}"),
    "uint8 past the vocabulary": (np.array([200], np.uint8), f"200 {OUTSIDE}"),
    "floats": ([1.0, 2.0], r"must be integers; got 1.0 \(float\)"),
    "an array of floats": (np.array([1.5]), "must be integers; got float64 such as .*1.5"),
    "nan": ([float("nan")], r"must be integers; got nan \(float\)"),
    "bools": ([True, False], r"must be integers; got True \(bool\)"),
    "a bool among integers": ([5, True], r"must be integers; got True \(bool\)"),
    "an array of bools": (np.array([True]), "must be integers; got bool such as .*True"),
    "a string": ("hello", "must be integers; got text, 'hello'"),
    "strings": (["1", "2"], "must be integers; got text, '1'"),
    "bytes": (b"12", "must be integers; got .*S2"),
    "nothing": (None, "must be integers; got None"),
    "None among integers": ([1, None], "must be integers; got None"),
    "complex": ([1 + 0j], r"must be integers; got \(1\+0j\)"),
    "empty": ([], "none were given; at least one is needed"),
    "empty rows": ([[], []], "none were given; at least one is needed"),
    "an empty array": (np.zeros((0, 3), int), "none were given; at least one is needed"),
    "rows of different lengths": ([[1, 2], [3]], "the rows have different lengths"),
    "a number": (3, r"must have shape \(T,\) or \(B, T\); got \(\)"),
    "three axes": ([[[1]]], r"must have shape \(T,\) or \(B, T\); got \(1, 1, 1\)"),
    "one past the context": ([1] * 6, "6 tokens are more than the context of 5"),
    "ten times the context": ([[1] * 50], "50 tokens are more than the context of 5"),
}


@pytest.mark.parametrize(("ids", "message"), BAD_IDS.values(), ids=BAD_IDS)
def test_bad_ids_are_rejected_with_what_was_given(ids, message, small_model):
    before = copy.deepcopy(small_model.params)
    for use in (small_model.logits, lambda x: small_model.loss(x, x),
                lambda x: small_model.loss_and_grads(x, x)):
        with pytest.raises(ValueError, match=message):
            use(ids)
    for name, array in before.items():
        np.testing.assert_array_equal(array, small_model.params[name])


def test_a_text_of_exactly_the_context_fits(small_model):
    assert small_model.logits([1] * 5).shape == (5, 11)


BAD_TARGETS = {
    "one short": ([1, 2], r"targets \(2,\) must have the shape of ids \(3,\)"),
    "another axis": ([[1, 2, 3]], r"targets \(1, 3\) must have the shape of ids \(3,\)"),
    "floats": ([1.0, 2.0, 3.0], r"targets must be integers; got 1.0 \(float\)"),
    "bools": ([True, 1, 2], r"targets must be integers; got True \(bool\)"),
    "strings": (["a", "b", "c"], "targets must be integers; got text, 'a'"),
    "rows of different lengths": ([[1], [1, 2]], "targets: the rows have different lengths"),
    "past the vocabulary": ([1, 11, 2], r"targets: 11 is outside \[0, 11\)"),
    "negative but not the ignored one": ([1, -1, 2], "targets: -1 is outside"),
    "2**64": ([1, 2**64, 2], "targets: 18446744073709551616 is outside"),
    "2**63 as uint64": (np.array([1, 2**63, 2], np.uint64),
                        "targets: 9223372036854775808 is outside"),
    "-2**63": ([1, -(2**63), 2], "targets: -9223372036854775808 is outside"),
}


@pytest.mark.parametrize(("targets", "message"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_bad_targets_are_rejected_with_what_was_given(targets, message, small_model):
    for use in (small_model.loss, small_model.loss_and_grads):
        with pytest.raises(ValueError, match=message):
            use([3, 1, 3], targets)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64])
def test_ids_and_targets_of_any_integer_type_mean_the_same(dtype, small_model):
    targets = np.array([[1, 3, 4], [7, 0, 2]])
    assert small_model.loss(IDS.astype(dtype), targets.astype(dtype)) == small_model.loss(
        IDS.tolist(), targets.tolist())


def test_a_model_in_another_precision_than_those_there_are_is_rejected():
    with pytest.raises(ValueError, match="expected float32 or float64"):
        GPT2.init(GPT2Config(n_layer=1), dtype="float16")
