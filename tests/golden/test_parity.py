"""npgpt against transformers and torch, from golden files that make_golden.py wrote."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from npgpt import GPT2, GPT2Config, Tape
from npgpt import model as functions
from npgpt.fast.ops import FAST
from npgpt.ops import TEXTBOOK, Ops

pytestmark = pytest.mark.smoke

HERE = Path(__file__).parent
CASES = ("tied_gelu_new", "untied_gelu", "tied_relu_deep")
OPS = {"textbook": TEXTBOOK, "fast": FAST}


@pytest.fixture(params=CASES)
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    path = HERE / f"{request.param}.safetensors"
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        metadata = json.loads(file.read(length))["__metadata__"]
    return {"config": GPT2Config.from_dict(json.loads(metadata["config"])), **load_file(path)}


@pytest.fixture(params=OPS)
def ops(request: pytest.FixtureRequest) -> Ops:
    return OPS[request.param]


def part(golden: dict[str, Any], prefix: str) -> dict[str, np.ndarray]:
    return {k[len(prefix):]: v for k, v in golden.items() if k.startswith(prefix)}


def test_logits_equal_those_of_transformers(golden: dict[str, Any], ops: Ops) -> None:
    model = GPT2(golden["config"], part(golden, "param."), ops=ops)
    gap = np.abs(model.logits(golden["ids"]) - golden["logits"]).max()
    assert gap < 1e-4
    assert np.abs(golden["logits"]).max() > 1


def test_loss_and_every_gradient_equal_those_of_torch(
    golden: dict[str, Any], ops: Ops
) -> None:
    model = GPT2(golden["config"], part(golden, "param."), ops=ops)
    loss, grads = model.loss_and_grads(golden["ids"], golden["targets"])
    assert loss == pytest.approx(golden["loss"][0], rel=1e-6)
    expected = part(golden, "grad.")
    assert set(grads) == set(expected)
    for name, grad in expected.items():
        assert np.linalg.norm(grad) > 1e-3, name
        assert np.linalg.norm(grads[name] - grad) < 1e-4 * np.linalg.norm(grad), name


def test_every_activation_equals_the_one_in_transformers(
    golden: dict[str, Any], ops: Ops
) -> None:
    config, expected = golden["config"], part(golden, "act.")
    outs: list[np.ndarray] = []
    tape = Tape(lambda entry, inputs, out: outs.append(out))
    params = tape.watch(part(golden, "param."))
    functions.hidden(params, golden["ids"], config, ops=ops)
    # token table, positions; then what one block puts on the tape, in order; then the final norm
    steps = ("ln_1", "attn.c_attn", None, "attn.c_proj", None, "ln_2", "mlp", "")
    names = [None, "drop"]
    for layer in range(config.n_layer):
        names += [None if step is None else f"h.{layer}.{step}".rstrip(".") for step in steps]
    names.append("ln_f")
    assert len(names) == len(outs)
    assert set(expected) == {name for name in names if name}
    for name, out in zip(names, outs):
        if name:
            np.testing.assert_allclose(out, expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


def test_greedy_continuation_of_fifty_tokens_is_identical(
    golden: dict[str, Any], ops: Ops
) -> None:
    model = GPT2(golden["config"], part(golden, "param."), ops=ops)
    continuation = golden["continuation"]
    assert continuation.shape == (2, 50)
    # the two largest logits are never nearer than 0.009; float32 errs by 4e-6
    ids = golden["ids"]
    for _ in range(50):
        ids = np.concatenate([ids, model.logits(ids)[:, -1:].argmax(-1)], axis=1)
    np.testing.assert_array_equal(ids[:, -50:], continuation)
    generated = model.generate(golden["ids"], 50, temperature=0)
    np.testing.assert_array_equal(generated[:, -50:], continuation)


def test_a_folder_of_bfloat16_shards_that_transformers_wrote_gives_its_logits() -> None:
    expected = load_file(HERE / "transformers_bf16_shards.golden")
    model = GPT2.load(HERE / "transformers_bf16_shards")
    assert {array.dtype for array in model.params.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(model.logits(expected["ids"]), expected["logits"], atol=1e-5)


def test_tensorflows_own_checkpoint_holds_the_numbers_it_was_given() -> None:
    expected = load_file(HERE / "openai_tf.golden")
    model = GPT2.load(HERE / "openai_tf")
    assert (model.config.n_layer, model.config.n_head, model.config.n_embd) == (2, 2, 6)
    assert (model.config.vocab_size, model.config.n_positions) == (13, 8)
    theirs = {
        "wte.weight": "model/wte", "wpe.weight": "model/wpe", "ln_f.weight": "model/ln_f/g",
        "ln_f.bias": "model/ln_f/b",
    }
    for i in range(2):
        for norm in ("ln_1", "ln_2"):
            theirs[f"h.{i}.{norm}.weight"] = f"model/h{i}/{norm}/g"
            theirs[f"h.{i}.{norm}.bias"] = f"model/h{i}/{norm}/b"
        for linear in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"):
            path = linear.replace(".", "/")
            theirs[f"h.{i}.{linear}.weight"] = f"model/h{i}/{path}/w"
            theirs[f"h.{i}.{linear}.bias"] = f"model/h{i}/{path}/b"
    assert set(theirs) == set(model.params)
    for ours, name in theirs.items():
        array = expected[name]
        array = array[0] if array.ndim == 3 else array
        np.testing.assert_array_equal(model.params[ours], array, err_msg=ours)
