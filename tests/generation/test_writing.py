"""Tokens become text that is whole, and a conversation takes turns."""

import io
import signal

import pytest

from npgpt.generation import Session, Token
from npgpt.generation.writing import converse, stream_text
from npgpt.text.chars import CharTokenizer
from npgpt.text.tokenizer import Tokenizer

from .lively import SMALL, lively

LETTERS = CharTokenizer("\nabcdefghijklmnopqrstuvwxyz .")
CONFIG = SMALL.replace(vocab_size=29, n_positions=64)


class Bytes(Tokenizer):
    """A token is a byte: characters beyond ASCII take several."""

    name = "bytes"
    vocab_size = 256

    def encode(self, text):
        raise NotImplementedError

    def decode_bytes(self, ids):
        return bytes(ids)

    def to_dict(self):
        return {}

    def safe_cut(self, text):
        return 0


def tokens_of(text):
    return [Token(0, i, 0.0, None) for i in text.encode()]


def test_characters_are_shown_whole():
    pieces = list(stream_text(tokens_of("aé€😀"), Bytes()))
    assert pieces == ["a", "é", "€", "😀"]


def test_an_unfinished_character_is_shown_as_a_replacement_at_the_end():
    assert list(stream_text(tokens_of("a€")[:-1], Bytes())) == ["a", "\ufffd"]


def test_stop_strings_and_stop_ids_are_not_shown():
    tokens = tokens_of("one€STOP two")
    assert "".join(stream_text(tokens, Bytes(), stop="€STOP")) == "one"
    for stop_ids in ([ord(".")], ord(".")):
        assert "".join(stream_text(tokens_of("one."), Bytes(), stop_ids=stop_ids)) == "one"
    assert "".join(stream_text(tokens, Bytes(), stop="never")) == "one€STOP two"


def talk(lines, session=None, **settings):
    session = session or Session(lively(CONFIG), CONFIG, seed=1)
    out, errors = io.StringIO(), []
    converse(session, LETTERS, lines, out.write, on_error=errors.append, **settings)
    return session, out.getvalue(), errors


def test_turns_join_one_text_each_on_a_line_of_its_own():
    session, shown, errors = talk(["hello\n", "how are you\r\n", ""], max_new_tokens=5)
    text = LETTERS.decode(session.ids)
    assert errors == []
    first, second, third = shown[:5], shown[6:11], shown[12:17]
    assert shown == f"{first}\n{second}\n{third}\n"
    assert text == f"hello{first}\nhow are you{second}{third}"


def test_a_line_that_cannot_be_encoded_is_told_and_the_talk_goes_on():
    session, shown, errors = talk(["héllo", "hello"], max_new_tokens=3)
    assert len(errors) == 1 and "é" in errors[0]
    assert LETTERS.decode(session.ids).startswith("hello") and len(shown) == 4


def test_without_a_listener_for_errors_they_are_raised():
    session = Session(lively(CONFIG), CONFIG)
    with pytest.raises(ValueError, match="é"):
        converse(session, LETTERS, ["é"], io.StringIO().write, 3)


def test_an_empty_first_line_asks_for_a_prompt():
    _, shown, errors = talk([""], max_new_tokens=3)
    assert shown == "" and "there is no text yet" in errors[0]


def test_a_stop_string_ends_a_reply_and_is_not_shown():
    _, free, _ = talk(["hello"], max_new_tokens=20)
    stop = free[3:5]
    _, shown, _ = talk(["hello"], max_new_tokens=20, stop=stop)
    assert shown == free[:free.index(stop)] + "\n"


def test_an_interrupt_ends_the_reply_and_not_the_conversation():
    session = Session(lively(CONFIG), CONFIG, seed=1)
    shown = []

    def write(piece):
        shown.append(piece)
        if len(shown) == 3:
            signal.raise_signal(signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        converse(session, LETTERS, ["hello", "again"], write, 8)
    finally:
        signal.signal(signal.SIGINT, handler)
    first, second = shown[:3], shown[4:]
    assert shown[3] == "\n" and len(second) == 9
    assert LETTERS.decode(session.ids) == f"hello{''.join(first)}\nagain{''.join(second[:-1])}"
