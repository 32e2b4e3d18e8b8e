"""Does the doctor accuse anybody's right gradient? PyTorch's functions at awkward points.

    python -m benchmarks.zoo            needs PyTorch
    python -m benchmarks.zoo --every 7  a part of it
    python -m benchmarks.zoo --write    writes zoo.json and the section in npgpt/doctor/README.md

Each function is examined where its gradient is hard to measure: at zero, with large, tiny, equal
and saturated inputs. What PyTorch gives there is right, but for ROUNDED.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from npgpt.doctor import Report, check_torch

from .readme import put_section

RESULTS = Path(__file__).parent / "results" / "zoo.json"
PAGE = Path(__file__).parents[1] / "npgpt" / "doctor" / "README.md"
# PyTorch multiplies by 1/6 in float32: this gradient is right to eight digits, as the doctor says
ROUNDED = ("hardsigmoid",)
SHAPE = (3, 4)
TARGETS = (0, 3, 1)
ELEMENTWISE = (
    "relu gelu silu mish elu selu celu softplus logsigmoid hardtanh relu6 leaky_relu hardswish "
    "hardsigmoid softsign tanhshrink softshrink hardshrink sigmoid tanh").split()
TENSORS = "exp expm1 sin erf square abs atan asinh sinc tril".split()
ROWS = "softmax log_softmax glu".split()
ALONG = "logsumexp cumsum cumprod prod var std amax logcumsumexp".split()
VALUES = "max sort median cummax".split()


def functions(torch: Any) -> dict[str, Callable[[Any], Any]]:
    """The functions of a tensor (3, 4), by name."""
    F, target = torch.nn.functional, torch.tensor(TARGETS)
    eye = torch.eye(SHAPE[0], dtype=torch.float64)

    def along(name: str, *more: Any) -> Callable[[Any], Any]:
        return lambda x: getattr(torch, name)(x, -1, *more)

    return {
        **{name: getattr(F, name) for name in ELEMENTWISE},
        **{name: getattr(torch, name) for name in TENSORS},
        **{name: (lambda x, f=getattr(F, name): f(x, -1)) for name in ROWS},
        **{name: along(name) for name in ALONG},
        **{name: (lambda x, f=getattr(torch, name): f(x, -1).values) for name in VALUES},
        "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
        "clamp": lambda x: x.clamp(-1, 1),
        "log of 1 + |x|": lambda x: torch.log1p(x.abs()),
        "root of x * x + eps": lambda x: torch.sqrt(x * x + 1e-8),
        "where": lambda x: torch.where(x > 0, x, 0 * x),
        "masked softmax": lambda x: F.softmax(
            x.masked_fill(torch.ones(SHAPE).tril() == 0, -torch.inf), -1),
        "layer_norm": lambda x: F.layer_norm(x, SHAPE[1:]),
        "rms_norm": lambda x: F.rms_norm(x, SHAPE[1:]),
        "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
        "group_norm": lambda x: F.group_norm(x.reshape(1, 4, 3), 2),
        "normalize": lambda x: F.normalize(x, dim=-1),
        "norm": torch.linalg.norm,
        "cosine_similarity": lambda x: F.cosine_similarity(x, torch.ones_like(x)),
        "cross_entropy": lambda x: F.cross_entropy(x, target),
        "label smoothing": lambda x: F.cross_entropy(x, target, label_smoothing=0.1),
        "nll_loss": lambda x: F.nll_loss(F.log_softmax(x, -1), target),
        "mse_loss at its optimum": lambda x: F.mse_loss(x, x.detach()),
        "l1_loss": lambda x: F.l1_loss(x, torch.full_like(x, 0.3)),
        "huber_loss": lambda x: F.huber_loss(x, torch.full_like(x, 0.3)),
        "binary cross entropy": lambda x: F.binary_cross_entropy_with_logits(
            x, torch.full_like(x, 0.5)),
        "hinge": lambda x: F.multi_margin_loss(x, target),
        "kl_div": lambda x: F.kl_div(
            F.log_softmax(x, -1), torch.full_like(x, 0.25), reduction="batchmean"),
        "max_pool1d": lambda x: F.max_pool1d(x[None], 2),
        "avg_pool1d": lambda x: F.avg_pool1d(x[None], 2),
        "conv1d": lambda x: F.conv1d(x[None], torch.ones(2, 3, 2, dtype=x.dtype)),
        "interpolate": lambda x: F.interpolate(x[None], size=6, mode="linear"),
        "attention": lambda x: F.scaled_dot_product_attention(
            x[None], x[None], x[None], is_causal=True),
        "trace": lambda x: (x @ x.T).trace(),
        "det": lambda x: torch.linalg.det(x @ x.T + eye),
        "inv": lambda x: torch.linalg.inv(x @ x.T + eye),
        "einsum": lambda x: torch.einsum("ij,kj->ik", x, x),
        "gather": lambda x: x.gather(1, torch.tensor([[0, 0], [3, 1], [2, 2]])),
        "index_add": lambda x: torch.zeros(2, 4, dtype=x.dtype).index_add(
            0, torch.tensor([0, 1, 0]), x),
    }


def points(rng: np.random.Generator) -> dict[str, Any]:
    """The inputs, by what is awkward in them."""
    x = rng.standard_normal(SHAPE)
    return {"random": x, "zero": 0 * x, "large": 100 * x, "tiny": 1e-6 * x,
            "equal": np.full(SHAPE, 2.0), "saturated": x + 40, "saturated below": x - 40}


def reports(every: int = 1) -> Iterator[tuple[str, str, Report]]:
    """(function, point, report) of every Nth case; needs PyTorch."""
    import torch

    cases = [(name, f, point, x) for name, f in functions(torch).items()
             for point, x in points(np.random.default_rng(0)).items()]
    for name, f, point, x in cases[::every]:
        yield name, point, check_torch(f, torch.tensor(x))


def section(result: dict[str, Any]) -> str:
    """The section as Markdown."""
    return textwrap.fill(
        f"{result['functions']} functions of PyTorch, {result['torch']}, at {result['points']} "
        "points each (zero, large, tiny, equal and saturated inputs; "
        "`python -m benchmarks.zoo --write`): of "
        f"{result['examined']} right gradients {result['accused']} were called wrong, and "
        f"{len(result['undecided'])} undecided. {', '.join(ROUNDED)} is not counted: PyTorch "
        "takes 1/6 of it in float32, and its gradient is right to eight digits only, as the report "
        "says.", 105)


def main() -> int:
    """Examine all, print who is accused; 1 if anybody is."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.zoo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth case only")
    parser.add_argument("--write", action="store_true",
                        help=f"write {RESULTS.name} and the section in npgpt/doctor/README.md")
    args = parser.parse_args()
    if args.write and args.every > 1:
        parser.error("--write needs all cases")
    import torch

    names: set[str] = set()
    examined, accused, undecided = 0, 0, []
    for name, point, report in reports(args.every):
        if name in ROUNDED:
            continue
        names.add(name)
        examined += 1
        if set(report.kinds) == {"undecided"}:
            undecided.append(f"{name}, {point}")
        elif not report.ok:
            accused += 1
            print(f"ACCUSED {name}, {point}\n{report}\n", file=sys.stderr)
    result = {"functions": len(names), "points": len(points(np.random.default_rng(0))),
              "examined": examined, "accused": accused, "undecided": undecided,
              "torch": torch.__version__}
    print(section(result))
    if args.write:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        put_section("zoo", section(result), PAGE)
    return 1 if accused else 0


if __name__ == "__main__":
    sys.exit(main())
