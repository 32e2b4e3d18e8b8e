"""What a training run shows: a bar in a terminal or a notebook, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import textwrap
import time

from ..display.bars import progress_bar
from ..display.terminal import duration
from ..documents import Json
from .loop import Reporter
from .settings import TrainSettings

# in a file or a pipe: a line at least this often, and at every evaluation
SECONDS_BETWEEN_LINES = 10.0
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"


class Progress(Reporter):
    """Shows a run's steps; a context manager, see `npgpt train`.

        with Progress(state.run.train, state.step) as progress:
            outcome = train(folder, state, corpus, progress)
    """

    def __init__(self, settings: TrainSettings, first_step: int) -> None:
        self._last = settings.max_steps
        self._most_seconds = 60.0 * (settings.max_minutes or math.inf)
        self._first = first_step
        self._val: float | None = None
        self._started = self._spoke = time.monotonic()
        # tqdm's own time left knows nothing of max_minutes: ours is in the postfix
        self._bar = progress_bar(total=self._last, initial=first_step, unit="step",
                                 dynamic_ncols=True, smoothing=0.1, bar_format=BAR)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def step(self, record: Json) -> None:
        """Move the bar; write a line where a new validation loss is known."""
        self._val = record.get("val", self._val)
        step, now = record["step"], time.monotonic()
        left = self._left(step, now)
        shown = {"loss": record.get("loss"), "val": self._val}
        parts = [f"{name}={value:.3f}" for name, value in shown.items() if value is not None]
        # without refresh: tqdm draws a few times a second, and not at every step
        self._bar.set_postfix_str(", ".join(parts + left), refresh=False)
        self._bar.update(step - self._bar.n)
        late = self._bar.disable and now - self._spoke > SECONDS_BETWEEN_LINES
        if "val" in record or late:
            self._spoke = now
            line = [f"step {step:>6,}/{self._last:,}"]
            if "loss" in record:
                line.append(f"loss {record['loss']:.4f}")
            if "val" in record:
                line.append(f"val {record['val']:.4f}")
            if "tokens_per_second" in record:
                line.append(f"{record['tokens_per_second']:,.0f} tokens/s")
            self._write("  ".join(line + left))

    def sample(self, step: int, text: str) -> None:
        """Show a sample, set off from the figures."""
        lines = [piece for line in text.strip("\n").splitlines()
                 for piece in textwrap.wrap(line, 76, drop_whitespace=False) or [""]]
        self._write("\n".join(f"  | {line}".rstrip() for line in lines))

    def evaluating(self, seen: int, total: int) -> None:
        """Draw how far the evaluation after the last step is, in a terminal."""
        self._bar.set_description(f"evaluating {seen / total:.0%}", refresh=False)
        self._bar.update(0)

    def note(self, text: str) -> None:
        """Write a remark to stderr."""
        self._bar.write(f"npgpt: {text}", file=sys.stderr)

    def _left(self, step: int, now: float) -> list[str]:
        """The time to the last step or to max_minutes, whichever comes first; [] if not known."""
        done, passed = step - self._first, now - self._started
        if not done or step >= self._last:
            return []
        seconds = min(passed / done * (self._last - step), max(0.0, self._most_seconds - passed))
        return [f"{duration(seconds)} left"]

    def _write(self, text: str) -> None:
        self._bar.write(text, file=sys.stdout)
        sys.stdout.flush()
