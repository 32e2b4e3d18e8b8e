"""npgpt view: one page that shows a model's forward and backward pass on a text."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from textwrap import wrap

from ..config import SIZES
from ..display.terminal import bytes_text
from ..documents import read_text
from ..files import write_text
from ..ids import check_integer
from ..text import CorpusError
from ..training.settings import resolve, table_fields
from ..variants import settings as variant_settings
from ..view import source
from ..view.check import failed_check
from ..view.encoding import Json
from ..view.entries import all_fits
from ..view.html import page
from ..view.payload import Subject, Window, payload
from ..view.serve import Answers, Server
from ..view.tracing import Traced
from .options import add_base, add_setting, flags, use_base
from .parser import Parser

DESCRIPTION = "A page of your model's forward and backward pass, in one file that opens offline."
EPILOG = """\
The page shows every step of the tape with its gradient, how much of it came
through the residual connections, attention and its entropy, the loss of every
token, generation step by step, and AdamW's update.

examples:
  npgpt view runs/python-docs                     on its held-out text
  npgpt view runs/python-docs "The function returns"
  npgpt view runs/python-docs --before runs/python-docs/config.toml   untrained
  npgpt view python-docs --n-layer 12 --no-residual --norm none    untrained
  npgpt view gpt2 "The animal was too tired"      after npgpt pull gpt2
  npgpt view runs/python-docs --serve             type a text, generate
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "npgpt view MODEL [TEXT] [--out FILE | --serve] [options]"
    parser.add_argument("model", metavar="MODEL",
                        help="a run, a checkpoint, a folder of GPT-2 weights, a published size, "
                             f"or untrained: a preset ({', '.join(source.UNTRAINED)}) or a "
                             ".toml file")
    add_base(parser)
    parser.add_argument("text", nargs="?", metavar="TEXT",
                        help="what it reads (default: the beginning of the run's held-out text)")
    parser.add_argument("--file", type=Path, metavar="FILE", help="read the text from a file")
    parser.add_argument("--length", type=int, metavar="T",
                        help=f"tokens of the page, its text's first ones (default "
                             f"{source.LENGTH}; {source.LENGTH_OF_WEIGHTS} of published weights)")
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="the page (default: NAME.view.html)")
    parser.add_argument("--before", metavar="MODEL",
                        help="another model on the same text, to compare: before training, or "
                             "without LayerNorm")
    parser.add_argument("--check", metavar="FILE[:NAME]",
                        help="draw the gradients of a pair in a Python file beside the right "
                             "ones, as `npgpt gradcheck` finds them")
    parser.add_argument("--exact", action="store_true",
                        help="all numbers as they are, not rounded to three digits; a larger page")
    parser.add_argument("--serve", action="store_true",
                        help="serve the page on this machine, with live traces and generation")
    parser.add_argument("--port", type=int, metavar="N",
                        help="of --serve (default 0: any that is free)")
    untrained = parser.add_argument_group("the model of a preset or a .toml file")
    fields, defaults = table_fields()["model"], resolve().to_dict()["model"]
    for name, field in fields.items():
        if name in FIRST or name in variant_settings():
            add_setting(untrained, name, field, defaults.get(name))


# of the text, in the page's footer
SHOWN = 120
# of the settings that are no variant's
FIRST = ("n_layer", "n_embd", "n_head", "n_positions", "activation_function")


def run(args: argparse.Namespace) -> int:
    """Write the page, or serve it until Ctrl-C."""
    if args.serve and args.out is not None:
        raise ValueError("--serve writes no file; expected --serve or --out")
    if args.port is not None and not args.serve:
        raise ValueError("--port belongs to --serve")
    place = args.out or Path(f"{_name(args.model)}.view.html")
    if not place.parent.is_dir():
        raise FileNotFoundError(f"--out {place}: expected a file in a folder that exists; there "
                                f"is no folder {place.parent}")
    with use_base(args.base, args.model):
        subject = source.subject(args.model, _settings(args))
    length = _length(args, subject)
    window = source.window(subject, _text(args), length)
    # on this machine exact numbers cost nothing, unless there are many
    exact = args.exact or (args.serve and all_fits(subject.config, len(window.ids)))
    shown, seen = payload(subject, window, command=_command(args, subject, window), exact=exact,
                          live=args.serve)
    if args.before is not None:
        shown["before"] = _before(args, subject, window, exact)
    if args.check is not None:
        shown["check"] = failed_check(args.check, exact)
    if args.serve:
        return _serve(args, subject, window, shown, seen)
    text = page(shown)
    write_text(place, text)
    _describe(shown)
    print(f"page       {place}, {bytes_text(len(text.encode()))}; it opens from disk, offline")
    return 0


def _describe(shown: Json) -> None:
    meta, flow = shown["meta"], shown["flow"]
    print(f"model      {meta['model']}, {meta['parameters']:,} parameters"
          f"{'' if meta['trained'] else ', untrained'}")
    if meta["model"] in SIZES and not meta["trained"]:
        print(f"weights    initial ones; npgpt pull {meta['model']} gets those that are published")
    print(f"text       {meta['length']} tokens ({meta['text']}), loss {shown['loss']:.4f} nats; "
          f"chance {shown['uniform']:.4f}")
    if flow["first_not_finite"]:
        print(f"broken     {flow['nan']:,} NaN, {flow['inf']:,} infinities; the first in "
              f"{flow['first_not_finite']}")
    if shown["check"]:
        _wrapped("check", f"{shown['check']['function']}: {shown['check']['sentence']}")
    for which in ("vanishing", "exploding"):
        if flow[which]:
            print(f"{which:10} the gradient at {flow[which][-1]} and {len(flow[which]) - 1} other "
                  f"points of the stream")
    for sentence in meta["left_out"]:
        _wrapped("left out", sentence)


def _wrapped(name: str, sentence: str) -> None:
    print("\n".join(wrap(sentence, 80, initial_indent=f"{name:11}", subsequent_indent=" " * 11)))


def _serve(
    args: argparse.Namespace, subject: Subject, window: Window, shown: Json, seen: Traced
) -> int:
    length = min(subject.config.n_positions, args.length or len(window.ids))
    answers = Answers(subject, length, shown["meta"]["exact"], shown, seen)
    with Server(answers, check_integer("--port", args.port or 0, 0, 65535)) as server:
        print(f"page       {server.url}\nstop       Ctrl-C", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nstopped")
    return 0


def _before(
    args: argparse.Namespace, subject: Subject, window: Window, exact: bool
) -> Json:
    other = source.subject(args.before)
    if other.tokenizer != subject.tokenizer:
        raise ValueError(f"--before {args.before} reads other tokens than {args.model}; expected a "
                         f"model of the same tokenizer")
    if len(window.ids) > other.config.n_positions:
        raise ValueError(f"--before {args.before} has a context of {other.config.n_positions}; "
                         f"try --length {other.config.n_positions}")
    return payload(other, window, exact=exact, brief=True)[0]


def _settings(args: argparse.Namespace) -> dict[str, object]:
    return {name: getattr(args, name) for name in table_fields()["model"]
            if getattr(args, name, None) is not None}


def _length(args: argparse.Namespace, subject: Subject) -> int | None:
    if args.length is None:
        return None
    return check_integer("--length", args.length, 1, subject.config.n_positions)


def _text(args: argparse.Namespace) -> str | None:
    if args.file is None:
        text: str | None = args.text
        return text
    if args.text is not None:
        raise ValueError("got both a TEXT and --file; expected one of them")
    return read_text(args.file, CorpusError)


def _name(model: str) -> str:
    path = Path(model)
    return re.sub(r"[^\w.-]+", "-", path.stem if path.suffix == ".toml" else path.absolute().name)


def _command(args: argparse.Namespace, subject: Subject, window: Window) -> str:
    """The command as it was typed, without where the page went and what of the text is left out."""
    words = ["npgpt", "view", args.model]
    if args.text is not None:
        text, all_shown = args.text, window.total <= len(window.ids) + 1
        shown = text if all_shown else subject.tokenizer.decode(window.ids)
        words.append(shown[:SHOWN] + ("" if all_shown and len(text) <= SHOWN else "..."))
    for name in ("file", "length", "base", "before", "check"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    words += [f"--{name}" for name in ("exact", "serve") if getattr(args, name)]
    for name, value in _settings(args).items():
        flag = flags([name])
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            words += [flag, str(value)]
    return shlex.join(words)
