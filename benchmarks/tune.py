"""What `npgpt.machine.tune()` gains for a program that uses npgpt as a library.

    python -m benchmarks.tune                   5 rounds; prints a table
    python -m benchmarks.tune --write           and puts it into npgpt/machine/README.md

Three processes take turns: not tuned, tuned after NumPy was imported, tuned before. None of them
starts worker processes, which tune themselves.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

ROOT = Path(__file__).parents[1]
README = ROOT / "npgpt" / "machine" / "README.md"
WHEN = {"never": "not tuned", "after": "tuned after NumPy", "before": "tuned before NumPy"}
WORKS = {
    "recipe": "a training step, 4 layers x 128 channels, B12 T64",
    "gpt2-64": "a training step, 124M, B4 T64",
    "token": "a decoded token, 124M",
    "two": "a token, then two at once (speculative decoding), 124M",
    "prompt": "a prompt of 128 tokens, 124M",
}
SAMPLES = {"recipe": 10, "gpt2-64": 1, "token": 16, "two": 8, "prompt": 1}


def child(when: str) -> None:
    """Prepare all works, then do one for every line of stdin, and print its seconds."""
    if when == "after":
        import numpy  # noqa: F401
    if when != "never":
        from npgpt.machine import tune

        if when == "before":
            assert "numpy" not in sys.modules, "NumPy is loaded already"
        tune()
    works = prepare()
    for line in sys.stdin:
        name = line.strip()
        # the first is no measure: it fills the caches that the work before had emptied
        works[name]()
        started = time.perf_counter()
        for _ in range(SAMPLES[name]):
            works[name]()
        print((time.perf_counter() - started) / SAMPLES[name], flush=True)


def prepare() -> dict[str, Callable[[], Any]]:
    """One sample of every work."""
    import numpy as np

    from npgpt import GPT2Config
    from npgpt.generation.fast_reader import FastReader
    from npgpt.params import init_params
    from npgpt.training.step.gradients import loss_and_grads

    from .sizes import SIZES

    rng = np.random.default_rng(0)

    def training(size: str) -> Callable[[], Any]:
        values, batch, length = SIZES[size]
        config = GPT2Config.from_dict(values)
        params = init_params(config)
        ids = rng.integers(0, config.vocab_size, (batch, length))
        return lambda: loss_and_grads(params, ids, ids, config)

    def reading(before: int, *counts: int) -> Callable[[], Any]:
        reader = FastReader(weights, config)
        ids = rng.integers(0, config.vocab_size, (1, 128))
        if before:
            reader.read([0], ids[:, :before])

        def read() -> None:
            reader.cut(0, before)
            for count in counts:
                reader.read([0], ids[:, :count], min(count, 2))

        return read

    config = GPT2Config.named("gpt2")
    weights = init_params(config)
    return {
        "recipe": training("recipe"), "gpt2-64": training("gpt2-64"),
        "token": reading(64, 1), "two": reading(64, 1, 2), "prompt": reading(0, 128),
    }


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of each work, for each moment of tuning."""
    processes = {
        when: subprocess.Popen([sys.executable, "-m", "benchmarks.tune", "--child", when], cwd=ROOT,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for when in WHEN
    }
    runs: dict[str, dict[str, list[float]]] = {name: {w: [] for w in WHEN} for name in WORKS}
    # the first round is no measure
    for turn in range(1 + rounds):
        for name in WORKS:
            for when in [*WHEN][turn % len(WHEN):] + [*WHEN][:turn % len(WHEN)]:
                seconds = _ask(processes[when], name)
                if turn:
                    runs[name][when].append(seconds)
    for process in processes.values():
        process.communicate()
    return {name: {when: statistics.median(seconds) for when, seconds in of_work.items()}
            for name, of_work in runs.items()}


def _ask(process: subprocess.Popen[str], name: str) -> float:
    assert process.stdin is not None and process.stdout is not None
    print(name, file=process.stdin, flush=True)
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"a process ended with {process.wait()}")
    return float(answer)


def table(medians: dict[str, dict[str, float]], machine: dict[str, Any], rounds: int) -> str:
    """The figures in Markdown, and what they were measured on."""
    lines = [f"| | {' | '.join(WHEN.values())} |", f"|---|{'---:|' * len(WHEN)}"]
    for name, of_work in medians.items():
        cells = [f"{of_work['never'] * 1e3:.1f} ms"] + [
            f"{of_work[when] * 1e3:.1f} ms ({of_work[when] / of_work['never'] - 1:+.0%})"
            for when in ("after", "before")]
        lines.append(f"| {WORKS[name]} | {' | '.join(cells)} |")
    return "\n".join([
        *lines, "",
        f"Medians of {rounds} rounds, {machine['date']}: {machine['processor']}, "
        f"{machine['cores']} cores, load {machine['load_before']} before, {machine['system']}, "
        f"Python {machine['python']}, NumPy {machine['numpy']}, {machine['blas']}.",
    ])


def main() -> None:
    """Measure, print and perhaps write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tune", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"into {README.relative_to(ROOT)}")
    parser.add_argument("--child", choices=WHEN, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return
    from .machine import describe_machine
    from .readme import put_section

    machine = describe_machine()
    text = table(measure(args.rounds), machine, args.rounds)
    print(text)
    if args.write:
        put_section("tune", text, README)


if __name__ == "__main__":
    main()
