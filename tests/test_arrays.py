from npgpt import arrays, tape
from npgpt.layers import contract


def test_layers_and_tape_mean_the_same_by_an_array_and_a_cache():
    assert tape.Array is contract.Array is arrays.Array
    assert tape.Cache is contract.Cache is arrays.Cache
