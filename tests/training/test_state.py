"""The state of a run: what is trained, what is not, and all its moments."""

import pytest


@pytest.mark.smoke
def test_parameters_with_moments_are_trained_and_the_others_frozen(start):
    state = start(freeze="wpe,h.0")
    assert state.frozen[0] == "wpe.weight" and all(
        name == "wpe.weight" or name.startswith("h.0.") for name in state.frozen)
    assert {*state.trained} | {*state.frozen} == {*state.params}
    assert all(state.trained[name] is state.params[name] for name in state.trained)


def test_one_process_has_all_rows_and_all_moments(start):
    state = start(batch_size=5)
    assert list(state.rows) == [0, 1, 2, 3, 4]
    moments = state.moments()
    assert len(moments) == 2 * len(state.params)
    assert all(moments[f"m.{name}"] is state.mean[name] for name in state.params)
    assert all(moments[f"v.{name}"] is state.square[name] for name in state.params)
