"""What a rank needs and sends, against what can be counted; measured in test_ranked."""

import pytest

from npgpt.config import GPT2Config
from npgpt.params import init_params
from npgpt.training.step.rank_cost import rank_cost

CONFIG = GPT2Config(n_layer=3, n_embd=32, n_head=4, n_positions=16, vocab_size=50)
BYTES = sum(array.nbytes for array in init_params(CONFIG).values())


def test_moments_are_divided_and_parameters_are_not():
    one, four = rank_cost(CONFIG, 6, 16, 1), rank_cost(CONFIG, 6, 16, 4)
    assert one.parameters == four.parameters == one.gradients == BYTES
    assert (one.moments, one.summed, one.sent) == (2 * BYTES, 0, 0)
    assert four.moments == pytest.approx(2 * BYTES / 4, rel=1e-3)
    assert four.summed == pytest.approx(BYTES / 4, rel=1e-3)
    assert four.sent == pytest.approx(2 * 3 / 4 * BYTES, rel=1e-3)


def test_the_rank_with_most_sequences_counts():
    assert rank_cost(CONFIG, 6, 16, 4).sequences == 2
    # 6 sequences over 4 ranks need as much as 8
    assert rank_cost(CONFIG, 6, 16, 4) == rank_cost(CONFIG, 8, 16, 4)
    assert rank_cost(CONFIG, 6, 16, 4).peak < rank_cost(CONFIG, 6, 16, 2).peak


def test_activation_checkpointing_and_the_number_of_bytes_count():
    plain = rank_cost(CONFIG, 4, 16, 2)
    assert rank_cost(CONFIG, 4, 16, 2, recompute=True).activations < plain.activations
    assert rank_cost(CONFIG, 4, 16, 2, dtype="float64").sent == 2 * plain.sent


def test_more_ranks_than_sequences_are_rejected():
    with pytest.raises(ValueError, match="ranks=5 is more than the 4 sequences"):
        rank_cost(CONFIG, 4, 16, 5)
