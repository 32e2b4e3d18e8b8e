"""The gradient doctor: is this backward right, and if not, what is wrong with it?"""

from .check import check, check_function, check_scalar, examine
from .files import examine_file
from .kinds import KINDS
from .report import Finding, GradientMismatch, Report, Row

__all__ = [
    "KINDS",
    "Finding",
    "GradientMismatch",
    "Report",
    "Row",
    "check",
    "check_function",
    "check_scalar",
    "examine",
    "examine_file",
]
