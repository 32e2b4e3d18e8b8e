"""The checks that both tokenizers share, and the face that they show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.text import BPETokenizer, CharTokenizer
from npgpt.text.tokenizer import check_row, check_text

pytestmark = pytest.mark.smoke

BPE = BPETokenizer()
BOTH = [CharTokenizer("abcd"), BPE]
# counted once: 50,257 of them
SIZES = {BPE: BPE.token_bytes}


@pytest.mark.parametrize("ids", [
    [0, 3, 1], (0, 3, 1), range(0, 4), np.array([0, 3, 1], dtype=np.uint16),
    np.array([0, 3], dtype=np.int8), [np.int64(2), np.uint16(3)], [], np.zeros(0, dtype=np.int64),
])
def test_integers_of_any_kind_pass_as_int64(ids):
    checked = check_row(ids, vocab_size=4)
    assert checked.dtype == np.int64 and checked.ndim == 1
    assert checked.tolist() == [int(value) for value in ids]


@pytest.mark.parametrize("tokenizer", BOTH, ids=repr)
@pytest.mark.parametrize("ids, given", [
    ([0, -1], "-1 is outside the vocabulary"),
    ([0, 50257], "50257 is outside the vocabulary"),
    ([2**63], "9223372036854775808 is outside"),
    ([2**70], "1180591620717411303424 is outside"),
    ([1.0], r"must be integers; got 1.0 \(float\)"),
    ([True], r"got True \(bool\)"),
    ([0, None], r"got None \(NoneType\)"),
    ([[1, 2]], r"expected shape \(T,\), got \(1, 2\)"),
    (["a"], "got text, 'a'"),
    ("abc", "must be integers; got text, 'abc'"),
    (b"abc", r"must be integers; got \|S3"),
    (3, r"expected shape \(T,\), got \(\)"),
    (np.array([0.5]), "must be integers; got float64"),
    (np.array([True]), "must be integers; got bool"),
    (np.array([0, -1]), "-1 is outside"),
    (np.array([2**63], dtype=np.uint64), "9223372036854775808 is outside"),
    (np.array([1, 60000], dtype=np.uint16), "60000 is outside"),
    (np.array(1), r"expected shape \(T,\), got \(\)"),
])
def test_invalid_ids_are_rejected_with_what_was_given(tokenizer, ids, given):
    for decode in (tokenizer.decode, tokenizer.decode_bytes):
        with pytest.raises(ValueError, match=f"^token ids.*{given}"):
            decode(ids)


@pytest.mark.parametrize("tokenizer, first", [
    (BPETokenizer(), 50256), (CharTokenizer("a\nb"), 1), (CharTokenizer("ba"), 0),
])
def test_a_text_without_a_prompt_starts_from_end_of_text_or_a_newline_or_id_0(tokenizer, first):
    assert tokenizer.first_id == first


@given(text=st.text(min_size=1))
def test_the_bytes_of_tokens_are_those_of_the_text_and_an_end_of_text_has_none(text):
    for tokenizer in (CharTokenizer.from_text(text), BPE):
        ids = tokenizer.encode(text)
        assert SIZES.get(tokenizer, tokenizer.token_bytes)[ids].sum() == len(text.encode())
    assert SIZES[BPE].shape == (50257,) and SIZES[BPE][50256] == 0 and (SIZES[BPE][:-1] > 0).all()


@pytest.mark.parametrize("tokenizer", BOTH, ids=repr)
def test_a_lone_surrogate_is_named_with_its_position(tokenizer):
    with pytest.raises(ValueError, match=r"lone surrogate, '\\ud800', at position 2"):
        tokenizer.encode("ab\ud800")


@pytest.mark.parametrize("text", [b"ab", None, 3, ["a"]])
def test_anything_but_a_str_is_rejected_by_its_type(text):
    with pytest.raises(ValueError, match=f"got {type(text).__name__}"):
        check_text(text)


@pytest.mark.parametrize("of_text", [CharTokenizer.from_text, lambda text: BPETokenizer()],
                         ids=["char", "gpt2"])
@given(text=st.text(min_size=1))
def test_decode_gives_any_text_back(of_text, text):
    tokenizer = of_text(text)
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int64 and ids.ndim == 1
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode_bytes(ids) == text.encode("utf-8")


@pytest.mark.parametrize("tokenizer", BOTH, ids=repr)
def test_an_empty_text_has_no_ids(tokenizer):
    assert tokenizer.encode("").shape == (0,)
    assert tokenizer.decode([]) == ""


def test_tokenizers_are_equal_when_their_ids_mean_the_same():
    assert CharTokenizer("ab") == CharTokenizer("ab") != CharTokenizer("ba")
    assert BPETokenizer() == BPETokenizer() != CharTokenizer("ab")
    assert CharTokenizer("ab").fingerprint != CharTokenizer("ba").fingerprint
    assert len({CharTokenizer("ab"), CharTokenizer("ab"), BPETokenizer()}) == 2
