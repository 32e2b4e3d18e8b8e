"""What all tests share: a process for each core, Hypothesis's profile, and a small model.

Hypothesis draws the same examples in every run, so that a failure is never a matter of luck;
HYPOTHESIS_PROFILE=explore draws new ones, and more.

Bounds in float64 hold for any processor's kernels. What only adds, multiplies, divides and takes
roots, in an order of its own, is within some units of the last place: 1e-15. exp, log and tanh
differ between kernels, by up to 4 units: 1e-14. Matmuls and sums, whose order BLAS and NumPy
choose: 1e-12. Golden numbers were made in float32 elsewhere, and are met as float32 can: 1e-6 to
1e-4.
"""

from __future__ import annotations

import os
import signal
from dataclasses import fields
from typing import Iterator

import numpy as np
import pytest
from hypothesis import settings

from npgpt import GPT2, GPT2Config
from npgpt.machine import threads
from npgpt.machine.threads import THRESHOLDS

# no test asks a server: a mistyped name would
os.environ.setdefault("HF_HUB_OFFLINE", "1")
settings.register_profile("same", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# a job that a script starts in the background ignores SIGINT, and so would every process that
# tests start and interrupt
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The whole suite runs on all cores where pytest-xdist is installed and no -n says otherwise.

    Some files or folders run in one process: others would only start to import the same.
    """
    whole = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    # one of those processes comes here too, and must not start its own
    if (whole and "PYTEST_XDIST_WORKER" not in os.environ
            and config.pluginmanager.hasplugin("xdist") and config.option.numprocesses is None):
        config.option.numprocesses, config.option.dist = "auto", "worksteal"


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts alike in every test."""
    return np.random.default_rng(0)


@pytest.fixture
def small_config() -> GPT2Config:
    """Two blocks; sizes all different."""
    return GPT2Config(vocab_size=11, n_positions=5, n_embd=8, n_layer=2, n_head=4, n_inner=12)


@pytest.fixture
def small_model(small_config: GPT2Config) -> GPT2:
    """A float64 model whose parameters are of unit scale, biases too: nothing in it is nearly 0."""
    rng = np.random.default_rng(1)
    model = GPT2.init(small_config, dtype=np.float64)
    for name, array in model.params.items():
        drawn = 0.5 * rng.standard_normal(array.shape)
        model.params[name] = array + drawn if array.ndim == 1 else drawn
    return model


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Two threads, whatever the machine, and back to what was."""
    with threads.using(2):
        yield


@pytest.fixture
def every_size_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts over threads pay from the first element on, and what is tested may be small."""
    for field in fields(THRESHOLDS):
        if field.name != "shard_parameters":        # the one that bounds from above
            monkeypatch.setattr(THRESHOLDS, field.name, 0)
