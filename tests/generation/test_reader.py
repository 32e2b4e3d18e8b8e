"""The cached reader scores what the model scores, for the positions asked for."""

import numpy as np
import pytest

from npgpt import model
from npgpt.fast.ops import FAST as fast
from npgpt.generation.reader import CachedReader
from npgpt.ops import TEXTBOOK as textbook

from .lively import SMALL, VARIANTS, lively
from .plain import assert_same

pytestmark = pytest.mark.smoke

IDS = np.random.default_rng(0).integers(0, 29, (3, 12))


@pytest.mark.parametrize("ops", [textbook, fast], ids=["textbook", "fast"])
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_prefill_and_decode_equal_the_full_logits(config, ops):
    params = lively(config)
    reader = CachedReader(params, config, 3, ops=ops)
    full = model.logits(params, IDS, config)
    assert np.abs(full).max() > 1
    prefill = reader.read([0, 1, 2], IDS[:, :6])
    assert_same(prefill, full[:, 5:6])
    for end in range(7, 13):
        token = reader.read([0, 1, 2], IDS[:, end - 1:end])
        assert_same(token, full[:, end - 1:end])
    assert reader.lengths.tolist() == [12, 12, 12]


@pytest.mark.parametrize("ops", [textbook, fast], ids=["textbook", "fast"])
@pytest.mark.parametrize("keep", [0, 1, 4, 7])
def test_as_many_logits_come_back_as_are_asked_for(keep, ops):
    params = lively()
    reader = CachedReader(params, SMALL, 3, ops=ops)
    reader.read([2], IDS[2:, :5])
    logits = reader.read([2], IDS[2:, 5:], keep)
    assert logits.shape == (1, keep, 29)
    full = model.logits(params, IDS[2:], SMALL)
    assert_same(logits, full[:, 12 - keep:])


def test_a_reader_has_the_models_own_precision():
    reader = CachedReader(lively(dtype=np.float32), SMALL)
    assert reader.keys.dtype == np.float32
    assert reader.read([0], IDS[:1]).dtype == np.float32
