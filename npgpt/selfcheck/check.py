"""npgpt examines itself: every op and whole models, against numeric derivatives in float64.

    for report in check_ops():
        print(report)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from .. import model
from ..doctor import Report, check, check_scalar
from ..fast.ops import FAST
from ..machine.threads import one_blas_thread
from ..ops import TEXTBOOK
from ..params import init_params
from ..tape import Array, Cache, Op
from ..training.step.shard import Shard, shard_gradients
from .cases import cases, model_cases

GOAL = 1e-10
SETS = {"textbook": TEXTBOOK, "fast": FAST}


def check_ops(which: str = "textbook", seed: int = 0) -> Iterator[Report]:
    """A report for each op and each of its cases, with the textbook's layers or the fast ones."""
    ops = SETS[which]
    for case in cases(seed):
        op = ops.named()[case.op_name]
        with one_blas_thread():     # so small, threads of BLAS would only wait for each other
            report = check(op.forward, _dense(op), *case.inputs, **case.settings)
        report.op = case.label
        report.rows = [replace(row, op=case.label) for row in report.rows]
        yield report


def check_models(which: str = "textbook", seed: int = 0) -> Iterator[Report]:
    """A report for each small whole model: tied or not, every activation, with and without norm."""
    ops = SETS[which]
    for case in model_cases(seed):
        config = case.config
        params = init_params(config, seed, np.float64)
        rng = np.random.default_rng(seed)
        # away from the symmetric start: biases of 0 and weights of 0.02 would hide mistakes
        params = {name: a * (a.ndim == 1) + 0.5 * rng.standard_normal(a.shape)
                  for name, a in params.items()}
        trained = {name: array for name, array in params.items() if case.only in name}
        frozen = tuple(name for name in params if name not in trained)
        shard = Shard(case.ids, case.targets, config, None, 1.0, False, frozen)
        with one_blas_thread():
            _, grads = shard_gradients(params, shard, ops)

        def loss(trained: dict[str, Array]) -> Array:
            return model.training_loss({**params, **trained}, case.ids, case.targets, config,
                                       ops=TEXTBOOK)

        with one_blas_thread():
            report = check_scalar(loss, trained, grads, case.label)
        yield report


def _dense(op: Op) -> Callable[[Array, Cache], tuple[Array | None, ...]]:
    # the checker takes arrays; a sparse gradient is one as soon as it is asked for it
    def backward(dout: Array, cache: Cache) -> tuple[Array | None, ...]:
        return tuple(None if g is None else np.asarray(g) for g in op.backward(dout, cache))

    return backward
