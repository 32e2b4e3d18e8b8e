"""llm.c's training step, by its own program train_gpt2 (float32, OpenMP), B4 T64.

The program reads gpt2_124M.bin and Tiny Shakespeare's tokens from its working folder, which is made
here with random weights and tokens, and prints the time of every step. A repetition starts it,
measures the third step and ends it.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np

from npgpt import GPT2Config
from npgpt.params import init_params
from npgpt.weights import save_llmc

from ..children import scratch_folder, wait

DATA = Path("dev/data/tinyshakespeare")
TOKENS_MAGIC, TOKENS_VERSION, TOKENS = 20240520, 1, 2**15
STEP = re.compile(r"step (\d+).*?([0-9.]+) ms")
MEASURED = 2


def prepare(program: str, config: dict[str, int] | None = None) -> Callable[[], Any]:
    """A callable that measures one training step, by default of GPT-2 124M.

    The program's batch and length are constants of its source.
    """
    folder = scratch_folder()
    write_folder(folder, GPT2Config.from_dict(config) if config else GPT2Config.named("gpt2"))

    def once() -> dict[str, Any]:
        return measure([os.path.abspath(program)], folder)

    return once


def write_folder(folder: Path, config: GPT2Config) -> None:
    """The files that the program expects: a model, and tokens for training and validation."""
    save_llmc(folder / "gpt2_124M.bin", config, init_params(config))
    (folder / DATA).mkdir(parents=True)
    header = np.zeros(256, "<i4")
    header[:3] = TOKENS_MAGIC, TOKENS_VERSION, TOKENS
    tokens = np.random.default_rng(0).integers(0, config.vocab_size, TOKENS).astype("<u2")
    for split in ("train", "val"):
        path = folder / DATA / f"tiny_shakespeare_{split}.bin"
        path.write_bytes(header.tobytes() + tokens.tobytes())


def measure(arguments: list[str], folder: Path) -> dict[str, Any]:
    """Seconds of step MEASURED and the program's peak memory; RuntimeError without that step."""
    # a terminal: into a pipe the program would print its steps only at the end
    ours, theirs = pty.openpty()
    environment = {**os.environ, "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))}
    try:
        child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=theirs,
                                 stderr=theirs, cwd=folder, env=environment, text=True)
    except OSError as error:
        os.close(ours)
        raise RuntimeError(f"{arguments[0]} cannot be started: {error.strerror}") from error
    finally:
        os.close(theirs)
    seconds, last = None, "no message"
    for line in _lines(ours):
        last = line.strip() or last
        step = STEP.search(line)
        if step and int(step[1]) == MEASURED:
            seconds = float(step[2]) / 1e3
            break
    # not child.terminate(): it would reap a child that has ended, and lose its peak memory
    os.kill(child.pid, signal.SIGTERM)
    peak = wait(child)
    os.close(ours)
    if seconds is None:
        raise RuntimeError(f"{arguments[0]} printed no step {MEASURED}: {last}")
    return {"seconds": seconds, "peak_bytes": peak}


def _lines(terminal: int) -> Iterator[str]:
    rest = ""
    while True:
        try:
            read = os.read(terminal, 4096).decode(errors="replace")
        except OSError:  # the other end is closed
            read = ""
        if not read:
            yield rest
            return
        *whole, rest = (rest + read).split("\n")
        yield from whole
