"""The gradient doctor: is this backward right, and if not, what is wrong with it?"""

from ..gradcheck.pair import ContractError, constant
from .check import check, examine
from .files import examine_file
from .function import check_function, check_scalar
from .kinds import KINDS
from .layer import check_layer
from .loss import check_loss
from .report import Finding, GradientMismatch, Report, Row

__all__ = [
    "KINDS",
    "ContractError",
    "Finding",
    "GradientMismatch",
    "Report",
    "Row",
    "check",
    "check_function",
    "check_layer",
    "check_loss",
    "check_scalar",
    "constant",
    "examine",
    "examine_file",
]
