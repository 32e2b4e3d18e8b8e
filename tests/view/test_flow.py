"""Which part of the gradient came through the residual connections, and where it breaks."""

import numpy as np
import pytest

from npgpt.layers.cross_entropy import IGNORE
from npgpt.ops import TEXTBOOK as ops
from npgpt.tape import Tape
from npgpt.view.encoding import decoded
from npgpt.view.flow import breaks, flow, parts, paths
from npgpt.view.tokens import losses
from npgpt.view.tracing import traced

from .models import trace_of

pytestmark = pytest.mark.smoke


@pytest.mark.parametrize("changes", [{}, {"residual": False}, {"norm": "none"},
                                     {"activation_function": "swiglu"}], ids=str)
def test_the_two_parts_of_the_gradient_sum_to_the_whole(changes):
    seen = trace_of(**changes)
    for half, point in enumerate(flow(seen)["points"]):
        assert point["residual"] + point["branch_fraction"] == pytest.approx(1.0)
        assert point["norm"] == pytest.approx(np.linalg.norm(seen.steps[point["at"]].gradient))
        if not seen.config.residual:
            assert point["residual"] == 0.0 == point["through_residual"]
        assert (point["layer"], point["part"]) == (half // 2, ("attn", "mlp")[half % 2])


def test_the_branchs_part_is_what_flows_when_the_residual_connection_is_cut():
    seen = trace_of()
    # the gradient at the half block's input through its feed-forward network alone
    h, tape = "h.1", Tape()
    x = tape.watch(seen.steps["h.1.residual_1"].out)
    normed = ops.layernorm(x, seen.params[f"{h}.ln_2.weight"], seen.params[f"{h}.ln_2.bias"],
                           eps=seen.config.layer_norm_epsilon)
    out = ops.feed_forward(normed, *(seen.params[f"{h}.mlp.{part}"] for part in (
        "c_fc.weight", "c_fc.bias", "c_proj.weight", "c_proj.bias")), activation="gelu_new")
    through = tape.backward(out, seen.steps["h.1.residual_2"].gradient)[x]
    got = parts(seen, 3)
    assert got.through_branch[0] == pytest.approx(np.linalg.norm(through))
    dx = seen.steps["h.1.residual_1"].gradient
    assert got.branch[0] == pytest.approx((through * dx).sum() / (dx * dx).sum())


def test_a_deep_model_without_residual_connections_or_norms_loses_its_gradient():
    deep = {"n_layer": 8, "norm": "none"}
    # of small weights, as at the start of training
    for changes, lost in ((deep, False), ({**deep, "residual": False}, True)):
        seen = trace_of(**changes)
        small = {name: 0.1 * array for name, array in seen.params.items()}
        small |= {name: array for name, array in seen.params.items() if name.startswith("w")}
        found = flow(traced(small, seen.ids, seen.targets, seen.config))
        assert ("embedding.sum" in found["vanishing"]) == lost
        assert not found["exploding"]


def test_an_exploding_gradient_is_marked():
    seen = trace_of(norm="none", n_layer=3)
    large = {name: array * (30.0 if ".mlp.c_" in name else 1.0)
             for name, array in seen.params.items()}
    found = flow(traced(large, seen.ids, seen.targets, seen.config))
    assert "embedding.sum" in found["exploding"] and not found["vanishing"]


def test_the_first_nan_is_named_in_the_order_of_execution():
    seen = trace_of()
    broken = {name: array.copy() for name, array in seen.params.items()}
    broken["h.1.mlp.c_fc.weight"][2, 3] = np.nan
    found = breaks(traced(broken, seen.ids, seen.targets, seen.config))
    assert found.first == "h.1.mlp.c_fc" and found.nan > 0
    assert "h.0.mlp.c_fc" in found.steps      # whose gradient is NaN
    assert breaks(seen) == (None, [], 0, 0)


def test_a_positions_path_is_the_gradient_of_its_loss_alone():
    seen = trace_of()
    found = paths(seen, losses(seen), exact=True)
    assert found["positions"] == list(range(seen.length)) and found["skipped"] is None
    for row, position in ((0, 0), (6, 6)):
        targets = np.where(np.arange(seen.length) == position, seen.targets, IGNORE)
        alone = traced(seen.params, seen.ids, targets, seen.config)
        gradients = [alone.steps[name].gradient[0] for name in seen.stream]
        np.testing.assert_allclose(decoded(found["norms"])[row],
                                   [np.linalg.norm(g) for g in gradients], rtol=1e-6)
        np.testing.assert_allclose(decoded(found["rms"])[row],
                                   [np.sqrt((g * g).mean(-1)) for g in gradients], rtol=1e-6)
        branch = [float(parts(alone, half).through_branch[0]) for half in range(4)]
        np.testing.assert_allclose(decoded(found["branch"])[row], branch, rtol=1e-6)
        assert found["most"][row] == int(np.argmax(branch))
    # nothing flows to positions that come later
    assert not decoded(found["rms"])[2, :, 3:].any()


def test_of_a_large_model_the_most_surprising_positions_have_paths(monkeypatch):
    monkeypatch.setattr("npgpt.view.flow.MOST_PRODUCTS", 1)
    seen = trace_of()
    surprise = losses(seen)
    found = paths(seen, surprise, exact=True)
    assert found["positions"] == sorted(np.argsort(-surprise)[:8].tolist())
    assert found["skipped"] == ("of 11 positions the 8 with the highest loss have a gradient path "
                                "of their own")
