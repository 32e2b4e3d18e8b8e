"""How time and memory grow with the work: context, layers, channels, vocabulary, threads, and more.

    python -m benchmarks.growth                     measures what is missing, and prints
    python -m benchmarks.growth --only context threads --pairs 3
    python -m benchmarks.growth --write             the page's section and its chart as well
    python -m benchmarks.growth --peers-python P    PyTorch from another Python's packages
    python -m benchmarks.growth --rivals FOLDER     llm.c too, which is fetched there and built

Every point is measured by contestants in processes of their own that take turns, and stored at once
in results/growth.json: a run that was interrupted goes on where it stopped, and points that this
commit measured today on this machine are not measured again (--again does). Exponents are slopes of
least squares in logarithms. llm.c takes part over context, layers, channels and vocabulary, in
contexts of up to 2048 positions: it stores T x T matrices. Its threads cannot be set from here, and
a program would have to be built for each of the sizes of `batches`. The corpus is ASCII.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

from .contest import hold, peers_python
from .growth_page import chart, lines, section
from .machine import describe_machine
from .readme import put_section
from .rivals import GITHUB, build_llmc
from .sides.npgpt_growth import corpus_text, remove_corpora
from .suite import Contestant, Row

RESULTS = Path(__file__).parent / "results"
MODEL = {"vocab_size": 256, "n_positions": 64, "n_embd": 256, "n_layer": 4, "n_head": 4}
HEAD = 64
# llm.c stores T x T scores of every head, layer and gradient: 2 GB at 2048
LONGEST_LLMC = 2048
# results of one run are comparable; of another commit, processor or day they are not
SAME_RUN = ("commit", "processor", "cores", "date", "python", "instructions")


class Curve(NamedTuple):
    """One thing that grows; `label` says beside what."""

    label: str
    unit: str
    points: tuple[int, ...]
    rival: str = "PyTorch"
    pairs: int = 5


LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
CURVES = {
    "context": Curve("T, B = 1: a step of 4 layers x 256 channels", "positions", LENGTHS),
    "batches": Curve("T, B x T = 8192: a step of 4 layers x 256 channels", "positions", LENGTHS,
                     pairs=3),
    "layers": Curve("layers: a step of 256 channels, B4 T64", "layers", (2, 4, 8, 16)),
    "channels": Curve("channels: a step of 4 layers, B4 T64", "channels",
                      (64, 128, 256, 512, 1024)),
    "vocabulary": Curve("vocabulary: a step of 4 x 256, B4 T64", "ids",
                        (256, 1024, 4096, 16384, 65536)),
    "threads": Curve("threads: a step of 4 x 256, B8 T256", "threads", ()),
    "decode": Curve("length: a token of 4 x 256 with a KV cache", "positions", LENGTHS),
    "corpus": Curve("corpus: file to stored GPT-2 tokens", "MB", (16, 64, 256, 1024),
                    "tiktoken", 1),
    "gradcheck": Curve("gradient check: LayerNorm, PyTorch's gradcheck and its fast mode",
                       "elements", (128, 1024, 8192, 65536, 524288), "fast mode", 3),
}


def points_of(name: str) -> tuple[int, ...]:
    """The sizes of a curve; threads end at the machine's cores."""
    if name != "threads":
        return CURVES[name].points
    cores = describe_cores()
    powers = [2**i for i in range(cores.bit_length()) if 2**i < cores]
    return (*powers, cores)


def describe_cores() -> int:
    """How many threads npgpt would use by itself."""
    from npgpt.machine.threads import get_threads

    return get_threads()


def row_of(name: str, x: int, llmc: Callable[[int, int], Path] | None = None) -> Row:
    """The contest of one point; `llmc` gives llm.c's program for a batch and a length.

    Raises RuntimeError if it cannot be built.
    """
    curve = CURVES[name]
    label = f"{curve.label.partition(':')[0]} {x}"
    if name == "corpus":
        contestants: dict[str, Contestant] = {
            "npgpt": ("npgpt_growth", {"work": "corpus", "megabytes": x}),
            "tiktoken": ("tiktoken_corpus", {"megabytes": x}),
        }
    elif name == "gradcheck":
        job = {"work": "gradcheck", "elements": x}
        contestants = {"npgpt": ("npgpt_growth", job),
                       "fast mode": ("torch_growth", {**job, "fast": True})}
        # element by element: time grows with the square
        if x <= 2**10:
            contestants["PyTorch"] = ("torch_growth", {**job, "fast": False})
    elif name == "decode":
        job = {"work": "decode", "config": {**MODEL, "n_positions": x}, "length": x}
        contestants = {"npgpt": ("npgpt_growth", job), "PyTorch": ("torch_growth", job)}
    else:
        contestants = _training(name, x, llmc)
    return Row(f"{name} {x}", label, contestants, curve.rival)


def _training(
    name: str, x: int, llmc: Callable[[int, int], Path] | None
) -> dict[str, Contestant]:
    values, batch, length = dict(MODEL), 4, 64
    if name in ("context", "batches"):
        batch, length = (1 if name == "context" else max(LENGTHS) // x), x
        values["n_positions"] = x
    elif name == "channels":
        values.update(n_embd=x, n_head=max(1, x // HEAD))
    elif name == "threads":
        batch, length = 8, 256
        values["n_positions"] = length
    else:
        values[{"layers": "n_layer", "vocabulary": "vocab_size"}[name]] = x
    job: dict[str, Any] = {"work": "train", "size": [values, batch, length]}
    if name == "threads":
        job["threads"] = x
    contestants: dict[str, Contestant] = {
        "npgpt": ("npgpt_gpt", job), "PyTorch": ("torch_gpt", job)}
    if llmc and name not in ("threads", "batches") and length <= LONGEST_LLMC:
        contestants["llm.c"] = (
            "llm_c", {"program": str(llmc(batch, length)), "config": values})
    return contestants


def measure(
    names: list[str], found: dict[str, Any], path: Path, peers: str | None,
    llmc: Callable[[int, int], Path] | None = None, pairs: int | None = None, again: bool = False,
) -> Iterator[dict[str, Any]]:
    """Each point of the curves as it is measured; `found` is filled and written on the way.

    Raises RuntimeError if npgpt or its rival fails.
    """
    machine = describe_machine()
    for name in names:
        points = found.setdefault(name, {})
        for x in points_of(name):
            before = points.get(str(x))
            same = before and all(before["machine"].get(key) == machine[key] for key in SAME_RUN)
            if same and not again:
                continue
            if name == "corpus":    # here, since it would count as a contestant's memory
                corpus_text(x)
            result = hold(row_of(name, x, llmc), pairs or CURVES[name].pairs, peers, ())
            points[str(x)] = {**result, "machine": machine}
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            yield points[str(x)]
        if name == "corpus":
            remove_corpora()


def main() -> int:
    """Measure, print, and with --write put the section and its chart into the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=CURVES, default=list(CURVES),
                        metavar="CURVE", help=", ".join(CURVES))
    parser.add_argument("--pairs", type=int, help="repetitions (default 1 to 5)")
    parser.add_argument("--again", action="store_true", help="measure every point again")
    parser.add_argument("--peers-python", metavar="PATH", help="a Python that has torch")
    parser.add_argument("--rivals", type=Path, metavar="FOLDER",
                        help="where llm.c is, or is fetched to and built")
    parser.add_argument("--source", default=GITHUB, metavar="PATTERN",
                        help=f"where to clone it from (default {GITHUB})")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--write", action="store_true", help="the page's section and its chart")
    args = parser.parse_args()
    if args.pairs is not None and args.pairs < 1:
        parser.error(f"--pairs {args.pairs} is out of range; expected at least 1")
    peers = peers_python(args.peers_python)
    llmc = None
    if args.rivals is not None:
        llmc = partial(build_llmc, args.rivals, source=args.source)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "growth.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    code = 0
    for name in args.only:
        print(f"\n{CURVES[name].label}", flush=True)
        try:
            for point in measure([name], found, path, peers, llmc, args.pairs, args.again):
                print(f"  measured {point['name']}", flush=True)
        except RuntimeError as error:
            print(f"  not measured. {error}", file=sys.stderr, flush=True)
            code = 1
        if found.get(name):
            print("\n".join(lines(CURVES[name], found[name])), flush=True)
    if args.write:
        (args.out / "growth.svg").write_text(chart(CURVES, found), encoding="utf-8")
        put_section("growth", section(CURVES, found))
    return code


if __name__ == "__main__":
    sys.exit(main())
