"""All faults: each an edit of one right piece, with what its author would need to be told."""

from .classes import CLASSES
from .cs231n import CS231N
from .fault import Fault
from .loss_grads import LOSS_GRADS
from .ninja import NINJA
from .pairs import PAIRS

FAULTS: tuple[Fault, ...] = PAIRS + CS231N + CLASSES + LOSS_GRADS + NINJA

__all__ = ["FAULTS", "Fault"]
