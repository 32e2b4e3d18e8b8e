"""From tokens to text that can be shown, and a conversation on the terminal or anywhere else."""

from __future__ import annotations

from typing import Callable, Collection, Generator, Iterable, Unpack

from ..text.stream import StreamDecoder
from ..text.tokenizer import Tokenizer
from .session import Session
from .stops import StopGuard, id_list
from .writer import Settings, Token


def stream_text(
    tokens: Iterable[Token],
    tokenizer: Tokenizer,
    *,
    stop_ids: int | Collection[int] = (),
    stop: str | Collection[str] = (),
) -> Generator[str, None, None]:
    """The text of one row's tokens, in pieces that are safe to print at once.

    Incomplete characters and what may be the start of a stop string wait; stop strings and stop ids
    themselves are not shown.
    """
    decoder, guard, ids = StreamDecoder(tokenizer), StopGuard(stop), id_list(stop_ids)
    for token in tokens:
        piece = "" if token.id in ids else guard.add(decoder.add(token.id))
        if piece:
            yield piece
    rest = guard.add(decoder.flush()) + guard.flush()
    if rest:
        yield rest


def converse(
    session: Session,
    tokenizer: Tokenizer,
    lines: Iterable[str],
    write: Callable[[str], object],
    max_new_tokens: int,
    *,
    on_error: Callable[[str], object] | None = None,
    **settings: Unpack[Settings],
) -> None:
    """Take turns: each of `lines` joins the text on a new line, and the model goes on from there.

    An empty line lets the model go on by itself. `write` gets the pieces of each reply, then a line
    break. Ctrl-C ends a reply, not the conversation; a line that cannot be encoded is reported to
    `on_error` (raised without one). Other settings as for `Session.reply`.
    """
    settings.setdefault("decode", tokenizer.decode)
    for line in lines:
        line = line.rstrip("\r\n")
        begun = len(session.ids) > 0
        try:
            if not line and not begun:
                raise ValueError("there is no text yet to continue; type a first line")
            if line:
                session.extend(tokenizer.encode("\n" + line if begun else line))
        except ValueError as error:
            if on_error is None:
                raise
            on_error(str(error))
            continue
        tokens = session.reply(max_new_tokens, **settings)
        pieces = stream_text(tokens, tokenizer, stop_ids=settings.get("stop_ids", ()),
                             stop=settings.get("stop", ()))
        try:
            for piece in pieces:
                write(piece)
        except KeyboardInterrupt:
            pass
        finally:
            pieces.close()
            tokens.close()
        write("\n")
