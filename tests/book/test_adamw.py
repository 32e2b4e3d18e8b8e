from __future__ import annotations

import numpy as np

from npgpt.book.adamw import BLOCK, AdamW
from npgpt.training.step.adamw import adamw_reference


def test_steps_are_those_of_the_formula_with_decay_on_everything(rng):
    shapes = {"table": (3, BLOCK // 2), "bias": (5,)}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    wide = {name: p.copy() for name, p in params.items()}
    mean, square = ({name: np.zeros_like(p) for name, p in wide.items()} for _ in range(2))
    optimiser = AdamW(params, lr=1e-2, weight_decay=0.1)
    for step in range(1, 4):
        grads = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        optimiser.step(grads)
        adamw_reference(wide, grads, mean, square, step=step, lr=1e-2, betas=(0.9, 0.999),
                        eps=1e-8, decay_names=set(params), weight_decay=0.1)
    for name, p in params.items():
        np.testing.assert_allclose(p, wide[name], rtol=1e-12)
