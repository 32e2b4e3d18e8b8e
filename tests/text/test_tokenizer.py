"""The checks that both tokenizers share, and the face that they show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.text import BPETokenizer, CharTokenizer, tokenizer_for
from npgpt.text.tokenizer import check_ids, check_text

BOTH = [CharTokenizer("abcd"), BPETokenizer()]


@pytest.mark.parametrize("ids", [
    [0, 3, 1], (0, 3, 1), range(0, 4), iter([0, 3]), np.array([0, 3, 1], dtype=np.uint16),
    np.array([0, 3], dtype=np.int8), [np.int64(2), np.uint16(3)], [], np.zeros(0, dtype=np.int64),
])
def test_whole_numbers_of_any_kind_pass_as_int64(ids):
    kept = ids if not hasattr(ids, "__next__") else [0, 3]
    checked = check_ids(ids, vocab_size=4)
    assert checked.dtype == np.int64 and checked.ndim == 1
    assert checked.tolist() == [int(value) for value in kept]


@pytest.mark.parametrize("tokenizer", BOTH, ids=repr)
@pytest.mark.parametrize("ids, given", [
    ([0, -1], "-1 at position 1"),
    ([0, 50257], "50257 at position 1"),
    ([2**63], "9223372036854775808 at position 0"),
    ([2**70, -1], "1180591620717411303424 at position 0"),
    ([1.0], "1.0 at position 0 is a float"),
    ([True], "True at position 0 is a bool"),
    ([0, None], "None at position 1 is a NoneType"),
    ([[1, 2]], r"\[1, 2\] at position 0 is a list"),
    (["a"], "'a' at position 0 is a str"),
    ("abc", "sequence, given 'abc'"),
    (b"abc", "sequence, given b'abc'"),
    (3, "sequence, given 3"),
    (np.array([0.5]), "array of float64"),
    (np.array([True]), "array of bool"),
    (np.array([0, -1]), "-1 at position 1"),
    (np.array([2**63], dtype=np.uint64), "9223372036854775808 at position 0"),
    (np.array([1, 60000], dtype=np.uint16), "60000 at position 1"),
    (np.array([[1, 2]]), r"shape \(1, 2\)"),
    (np.array(1), r"shape \(\)"),
])
def test_ids_that_are_none_are_refused_with_what_was_given_and_what_fits(tokenizer, ids, given):
    for decode in (tokenizer.decode, tokenizer.decode_bytes):
        with pytest.raises(ValueError, match=given) as error:
            decode(ids)
        assert f"what fits: whole numbers 0..{tokenizer.vocab_size - 1}" in str(error.value)


@pytest.mark.parametrize("tokenizer", BOTH, ids=repr)
def test_a_lone_surrogate_is_named_with_its_position(tokenizer):
    with pytest.raises(ValueError, match=r"lone surrogate, '\\ud800', at position 2"):
        tokenizer.encode("ab\ud800")


@pytest.mark.parametrize("text", [b"ab", None, 3, ["a"]])
def test_what_is_no_str_is_refused_by_its_type(text):
    with pytest.raises(ValueError, match=f"given {type(text).__name__}"):
        check_text(text)


@pytest.mark.parametrize("name", ["char", "gpt2"])
@given(text=st.text(min_size=1))
def test_decode_gives_any_text_back(name, text):
    tokenizer = tokenizer_for(name, text)
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int64 and ids.ndim == 1
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode_bytes(ids) == text.encode("utf-8")


@pytest.mark.parametrize("tokenizer", BOTH, ids=repr)
def test_no_text_is_no_ids(tokenizer):
    assert tokenizer.encode("").shape == (0,)
    assert tokenizer.decode([]) == ""


def test_tokenizers_are_equal_when_their_ids_mean_the_same():
    assert CharTokenizer("ab") == CharTokenizer("ab") != CharTokenizer("ba")
    assert BPETokenizer() == BPETokenizer() != CharTokenizer("ab")
    assert CharTokenizer("ab").fingerprint != CharTokenizer("ba").fingerprint
    assert len({CharTokenizer("ab"), CharTokenizer("ab"), BPETokenizer()}) == 2
