"""Training: settings, batches, the optimiser, checkpoints and the loop that joins them."""

from .checkpoint import TrainingState, load_checkpoint, newest_checkpoint, save_checkpoint
from .loop import Diverged, Outcome, train
from .settings import PRESETS, RunConfig, resolve

__all__ = [
    "Diverged", "Outcome", "PRESETS", "RunConfig", "TrainingState", "load_checkpoint",
    "newest_checkpoint", "resolve", "save_checkpoint", "train",
]
