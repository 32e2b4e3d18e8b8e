"""A training run at one moment: all that a checkpoint holds, and who trains it."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import GPT2Config
from ..fast.ops import FAST
from ..ops import Ops
from ..params import Params
from ..text import Tokenizer
from .settings import RunConfig
from .team import Team


@dataclass
class TrainingState:
    """A run at one moment: after `step` updates."""

    step: int
    config: GPT2Config
    params: Params
    mean: Params
    """AdamW's running mean of each gradient."""
    square: Params
    """AdamW's running mean of each squared gradient. What is frozen has neither."""
    run: RunConfig
    tokenizer: Tokenizer
    corpus_fingerprint: str
    ops: Ops = FAST
    """What it computes with; not saved: whoever resumes with ops of their own sets them again."""
    team: Team | None = None
    """The ranks that train it together; `mean` and `square` then hold this rank's part alone."""

    @property
    def trained(self) -> Params:
        """The parameters that are updated: those with moments."""
        return {name: self.params[name] for name in self.mean}

    @property
    def rows(self) -> range:
        """The sequences of a batch that are computed here: all, but over ranks."""
        batch = self.run.train.batch_size
        return self.team.rows(batch) if self.team else range(batch)

    def moments(self) -> Params:
        """All moments, as m.NAME and v.NAME."""
        found: Params = {}
        for kind, arrays in (("m", self.mean), ("v", self.square)):
            if self.team:
                with self.team.command("moments", kind):
                    arrays = self.team.gather(arrays)
            found |= {f"{kind}.{name}": array for name, array in arrays.items()}
        return found

    @property
    def frozen(self) -> tuple[str, ...]:
        """The names of the others."""
        return tuple(name for name in self.params if name not in self.mean)
