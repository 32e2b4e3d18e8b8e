"""Attention weights, their gradient and entropy, beside numbers taken another way."""

import math

import numpy as np
import pytest

from npgpt.gradcheck.numeric import richardson
from npgpt.layers.attention import causal_attention_forward, split_heads
from npgpt.probe.entropy import attention_entropy, causal_bound
from npgpt.view.attention import attention, entropy, entropy_of_training
from npgpt.view.encoding import decoded

from .models import trace_of

pytestmark = pytest.mark.smoke


def test_the_gradient_of_the_weights_is_the_numeric_one():
    seen = trace_of()
    inside = seen.attention[1]
    dheads = split_heads(seen.steps["h.1.attn.mixed"].gradient, 3)[0]
    dweights = decoded(attention(seen, True)[1]["dweights"])
    for h, i, j in ((0, 4, 2), (2, 10, 10), (1, 7, 0)):
        move = np.zeros_like(inside["weights"])
        move[h, i, j] = 1.0
        slope = richardson(lambda w: ((w @ inside["v"]) * dheads).sum(), inside["weights"], move)
        assert dweights[h, i, j] == pytest.approx(float(slope.value), rel=1e-8)
    assert not np.triu(dweights, 1).any()


def test_a_score_is_the_logarithm_of_its_weight_and_the_rows_sum():
    seen = trace_of()
    for layer, shown in enumerate(attention(seen, True)):
        q, k = (seen.attention[layer][name] for name in "qk")
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
        weights, lse = decoded(shown["weights"]), decoded(shown["lse"])
        rows, columns = np.tril_indices(seen.length)
        got = np.log(weights[:, rows, columns]) + lse[:, rows]
        np.testing.assert_allclose(got, scores[:, rows, columns], atol=1e-10)


def test_a_heads_summary_is_that_of_its_weights():
    seen = trace_of()
    for layer, shown in enumerate(attention(seen, True)):
        weights = seen.attention[layer]["weights"]
        for head, summary in enumerate(shown["heads"]):
            mine = weights[head]
            assert summary["entropy"] == pytest.approx(float(attention_entropy(mine)))
            assert summary["fraction"] == pytest.approx(summary["entropy"] / causal_bound(11))
            assert summary["previous"] == pytest.approx(np.mean([mine[i, i - 1]
                                                                 for i in range(1, 11)]))
            assert summary["own"] == pytest.approx(np.mean([mine[i, i] for i in range(11)]))
        # what the heads add sums to the branch, but for its bias
        q, k, v = (seen.attention[layer][name] for name in "qkv")
        out, _ = causal_attention_forward(q, k, v)
        weight = seen.params[f"h.{layer}.attn.c_proj.weight"]
        added = [out[h] @ weight[4 * h:4 * h + 4] for h in range(3)]
        assert [s["contribution"] for s in shown["heads"]] == pytest.approx(
            [np.sqrt((a * a).mean()) for a in added])
        branch = seen.steps[f"h.{layer}.attn.c_proj"].out[0]
        np.testing.assert_allclose(
            sum(added) + seen.params[f"h.{layer}.attn.c_proj.bias"], branch, atol=1e-12)


def test_entropy_is_below_its_bound_at_every_position():
    seen = trace_of()
    found = entropy(seen, None, True)
    nats = decoded(found["nats"])
    assert nats.shape == (2, 3, 11) and (nats <= np.array(found["row_bounds"]) + 1e-12).all()
    np.testing.assert_allclose(decoded(found["heads"]), nats.mean(-1))
    assert found["bound"] == pytest.approx(np.mean(found["row_bounds"]))


def test_a_watched_run_shows_its_entropy_over_training():
    log = [{"step": 0, "watch": {"entropy": {"nats": [[1.0]], "bound": 2.0}}}, {"step": 1},
           {"step": 2, "watch": {"gradients": {}}},
           {"step": 4, "watch": {"entropy": {"nats": [["nan"]], "bound": 2.0}}}]
    assert entropy_of_training(log) == {"steps": [0, 4], "nats": [[[1.0]], [["nan"]]], "bound": 2.0}
    assert entropy_of_training([{"step": 1}]) is None
