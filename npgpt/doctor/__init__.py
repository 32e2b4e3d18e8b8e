"""The gradient doctor: is this backward right, and if not, what is wrong with it?"""

from .check import check, check_function, check_scalar, examine
from .files import examine_file
from .forward import ValueReport, diagnose_value
from .kinds import KINDS
from .program import Program, value_kinds
from .report import Finding, GradientMismatch, Report, Row

__all__ = [
    "KINDS",
    "Finding",
    "GradientMismatch",
    "Program",
    "Report",
    "Row",
    "ValueReport",
    "check",
    "check_function",
    "check_scalar",
    "diagnose_value",
    "examine",
    "examine_file",
    "value_kinds",
]
