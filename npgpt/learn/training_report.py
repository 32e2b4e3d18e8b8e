"""What `npgpt learn train` shows: which layers are the learner's, the loss, a sample, the speed."""

from __future__ import annotations

import math
import textwrap
import types
from collections.abc import Callable

import numpy as np

from ..display.terminal import WIDTH, Curve, chart
from ..documents import read_text
from ..fast.ops import FAST
from ..suggest import one_line
from .examine import loaded
from .exercise import Exercise
from .own import PARTS, Own
from .training import Plan, Stopped, corpus, sample, train
from .words import wrap
from .workspace import Workspace

ENDS = 2.3      # the held-out loss of a full run; a test trains one
QUICK = 20      # steps that the fast ops are timed on


def learners(workspace: Workspace) -> dict[Exercise, types.ModuleType]:
    """The modules of the exercises that pass and have something to train with."""
    return {exercise: loaded(read_text(workspace.path(exercise)), str(workspace.path(exercise)),
                             exercise.name)
            for exercise in workspace.passed() if exercise.about.get("train")}


def report(
    workspace: Workspace, plan: Plan, colour: bool, say: Callable[[str], None]
) -> dict[str, object]:
    """Train, say how it goes, and give the same as plain values. Raises Stopped as `train`, and for
    what a learner's layer raised."""
    mine, text, steps = Own(learners(workspace)), corpus(), plan.steps
    missing = {name: exercise for exercise in workspace.course
               for name in exercise.about.get("train", {}).get("ops", [])
               if name not in mine.whose}
    for who, names in (("yours", [*mine.whose] or ["nothing yet: no layer passes"]),
                       ("npgpt's", [f"{name} (exercise {exercise.number})"
                                    for name, exercise in missing.items()])):
        for n, line in enumerate(textwrap.wrap(", ".join(names), WIDTH - 11)):
            say(f"{'' if n else who:10} {line}")
    aside = [exercise.name for exercise in workspace.passed() if not exercise.about.get("train")]
    if aside:
        for n, line in enumerate(textwrap.wrap(
                f"{', '.join(aside)}: passed; no layer of the model comes of it", WIDTH - 11)):
            say(f"{'' if n else 'not used':10} {line}")
    config = plan.config(text.tokenizer.vocab_size)
    say(f"model      {config.n_layer} layers, {config.n_embd} channels, {config.n_head} heads, "
        f"context {config.n_positions}")
    say(f"text       {text.name}: {len(text.train):,} characters to train on")
    for n, line in enumerate(textwrap.wrap(_meaning(steps, text.tokenizer.vocab_size), WIDTH - 11)):
        say(f"{'' if n else 'loss':10} {line}")
    say("")
    every = max(1, steps // 10)

    def on_step(step: int, loss: float) -> None:
        if step == 1 or step % every == 0:
            say(f"step {step:5}   loss {loss:.4f}")

    try:
        run = train(plan, text, mine.ops, mine.parts, on_step=on_step,
                    run_block=mine.run_block)
    except Stopped:
        raise
    except Exception as error:      # the learner's code
        raise Stopped(f"a layer of yours raised in training: {type(error).__name__}: "
                      f"{one_line(str(error), 300)}") from error
    say("")
    if len(run.losses) > 2:
        for line in _curve(run.losses, colour):
            say(line.rstrip())
        say("")
    written = sample(run, text, mine.ops, mine.parts)
    if mine.whose:
        say("how often your layers ran:")
    for name in mine.whose:
        say(f"   {name:21} {_calls(mine, name)}")
    idle = [name for name in mine.whose if name not in PARTS
            and not (mine.calls[f"{name}_forward"] and mine.calls[f"{name}_backward"])]
    if idle:
        for line in wrap(f"Not used: {', '.join(idle)}. Another layer of yours does that work "
                         "itself."):
            say(line)
    say("")
    say(f"held-out loss {run.held_out:.4f} nats per character, after {run.seconds:.0f} s")
    say("a sample:")
    for line in written.splitlines():
        say(f"   {line}"[:80])
    count = min(QUICK, steps)
    quick = train(plan, text, FAST, PARTS, steps=count, evaluate=False)
    times = run.seconds / steps / (quick.seconds / count)
    say("")
    say(f"npgpt's fast ops take {1000 * quick.seconds / count:.0f} ms a step, these "
        f"{1000 * run.seconds / steps:.0f} ms: {times:.1f} times as long")
    coming = workspace.next()
    if coming is not None:
        say(f"next: exercise {coming.number}, npgpt learn next {coming.name}")
    return {"yours": {name: exercise.name for name, exercise in mine.whose.items()},
            "losses": run.losses, "held_out": run.held_out, "seconds": run.seconds,
            "fast_speedup": times, "calls": dict(mine.calls), "sample": written}


def _meaning(steps: int, vocab_size: int) -> str:
    """What the loss of a run can be compared with."""
    short = "" if steps >= Plan.steps else f"; {steps} are a short run"
    return (f"the mean of -ln p(next character). To guess among all {vocab_size} alike costs "
            f"{math.log(vocab_size):.2f}; {Plan.steps} steps end near {ENDS} on held-out text"
            f"{short}.")


def _calls(mine: Own, name: str) -> str:
    if name in PARTS:
        return f"{mine.calls[name]:,} times"
    return (f"{mine.calls[name + '_forward']:,} times forward, "
            f"{mine.calls[name + '_backward']:,} backward")


def _curve(losses: list[float], colour: bool) -> list[str]:
    y = np.array(losses)
    if len(y) > 20:     # a mean over neighbours, to be seen through the noise of batches
        width = len(y) // 20
        y = np.convolve(y, np.ones(width) / width, "valid")
    low, high = np.floor(y.min() * 2) / 2, np.ceil(y.max() * 2) / 2
    ticks = [float(t) for t in np.linspace(low, high, 5)]
    x = np.linspace(1, len(losses), len(y))
    return chart("loss, nats per character", [Curve("*", "blue", x, y)], ticks, colour=colour,
                 height=10)
