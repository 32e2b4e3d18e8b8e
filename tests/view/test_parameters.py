"""Parameters in summary, and the update is AdamW's own."""

import math
from dataclasses import replace

import numpy as np
import pytest

from npgpt.training.settings import TrainSettings
from npgpt.training.step.adamw import adamw_step, clipping, decaying, global_norm, zero_moments
from npgpt.view.encoding import decoded
from npgpt.view.parameters import BINS, Optimizer, parameters, summary

from .models import trace_of

pytestmark = pytest.mark.smoke


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("grad_clip", [0.0, 1e-2])
def test_the_update_is_the_one_that_training_would_make(saved, grad_clip, rng):
    seen = trace_of()
    settings = replace(TrainSettings(), grad_clip=grad_clip)
    mean = {name: 1e-3 * rng.standard_normal(a.shape) for name, a in seen.params.items()}
    square = {name: array * array for name, array in mean.items()}
    optimizer = Optimizer(settings, 41, mean, square) if saved else Optimizer(settings, 0)
    found, described = parameters(seen.params, seen.grads, seen.config, optimizer, True)
    after = {name: a.copy() for name, a in seen.params.items()}
    moments = [{k: a.copy() for k, a in m.items()} if saved else zero_moments(after)
               for m in (mean, square)]
    adamw_step(after, seen.grads, *moments, step=optimizer.step + 1, lr=optimizer.rate,
               betas=(settings.beta1, settings.beta2), eps=settings.adam_epsilon,
               decay_names=decaying(after), weight_decay=settings.weight_decay,
               grad_scale=clipping(global_norm(seen.grads), grad_clip))
    for each in found:
        update = after[each["name"]] - seen.params[each["name"]]
        size = np.sqrt((seen.params[each["name"]] ** 2).mean())
        assert each["ratio"] == pytest.approx(np.sqrt((update ** 2).mean()) / size, rel=1e-9)
        assert each["update"]["max"] == pytest.approx(update.max(), rel=1e-9)
        assert each["gradient"]["rms"] == pytest.approx(
            np.sqrt((seen.grads[each["name"]] ** 2).mean()))
    assert ("saved at step 41" in described["text"]) == saved
    assert ("clipping" in described["text"]) == bool(grad_clip)
    assert [each["tied"] for each in found].count(True) == 1


def test_a_summary_has_every_element_in_its_histogram_and_its_norms(rng):
    array = rng.standard_normal((7, 300)).astype(np.float32)
    array[2, 3], array[4, 5], array[0, 0] = np.nan, np.inf, 0.0
    found = summary(array, True)
    counts = found["histogram"]["counts"]
    assert len(counts) == BINS and sum(counts) == array.size - 2
    assert (found["nan"], found["inf"], found["zeros"]) == (1, 1, 1)
    array = np.nan_to_num(array, posinf=0.0)
    found = summary(array, True)
    np.testing.assert_allclose(decoded(found["rows"]), np.linalg.norm(array, axis=1), rtol=1e-6)
    columns, each = decoded(found["columns"]), found["columns_each"]
    assert (each, len(columns)) == (5, 60)
    np.testing.assert_allclose(
        columns, [math.sqrt((array[:, i:i + 5] ** 2).sum() / 5) for i in range(0, 300, 5)],
        rtol=1e-6)


@pytest.mark.parametrize("array", [np.zeros((2, 3)), np.full(4, np.nan), np.full(3, 2.5),
                                   np.array([1e-45, 0.0], np.float32), np.array([-3e38, 3e38])])
def test_odd_arrays_have_a_summary_too(array):
    found = summary(array, False)
    assert sum(found["histogram"]["counts"]) == np.isfinite(array).sum()


def test_a_gradient_that_is_not_finite_gives_no_update():
    seen = trace_of()
    seen.grads["ln_f.bias"][2] = np.nan
    found, _ = parameters(seen.params, seen.grads, seen.config, Optimizer(TrainSettings()), False)
    assert all(math.isnan(each["ratio"]) for each in found if each["weight"]["rms"])
