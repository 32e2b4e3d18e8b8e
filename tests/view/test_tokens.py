"""Tokens can be seen, and a position's loss, rank and candidates are those of its logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgpt.layers.cross_entropy import cross_entropy_forward
from npgpt.view.tokens import losses, predictions, visible

from .models import TEXT, subject, trace_of

pytestmark = pytest.mark.smoke


@pytest.mark.parametrize("raw, shown", [
    (b" the", "␣the"), (b"\n\n", "↵↵"), (b"\t\r", "⇥␍"), ("é".encode(), "é"),
    ("é".encode()[:1], "<0xC3>"), (b"a\xe2\x82", "a<0xE2><0x82>"), (b"\x00", "<U+0000>"),
    ("\u202e".encode(), "<U+202E>"), ("\xa0".encode(), "<U+00A0>"), (b"<!--", "<!--"), (b"", ""),
])
def test_a_token_is_shown_by_visible_signs(raw, shown):
    assert visible(raw) == shown


@given(st.binary(max_size=6))
def test_nothing_that_is_shown_is_blank_or_a_control(raw):
    shown = visible(raw)
    assert all(character.isprintable() and not character.isspace() for character in shown)
    assert len(shown) >= bool(raw)


def test_losses_are_the_cross_entropys_and_predictions_agree():
    seen = trace_of()
    mine = losses(seen)
    assert float(np.mean(mine)) == pytest.approx(seen.loss)
    for position in range(seen.length):
        loss, _ = cross_entropy_forward(seen.logits[position], seen.targets[0, position])
        assert mine[position] == pytest.approx(float(loss))
    for shown, loss, logits in zip(predictions(seen, subject().tokenizer), mine, seen.logits):
        assert shown["loss"] == pytest.approx(loss)
        assert np.exp(-loss) == pytest.approx(shown["probability"])
        order = np.argsort(-logits)
        assert [each["id"] for each in shown["candidates"]] == order.tolist()
        assert order[shown["rank"] - 1] == shown["id"]
        p = np.array([each["p"] for each in shown["candidates"]])
        assert p.sum() == pytest.approx(1.0)
        assert shown["entropy"] == pytest.approx(-(p * np.log(p)).sum())
    assert "".join(each["text"] for each in predictions(seen, subject().tokenizer)) == TEXT[1:]
