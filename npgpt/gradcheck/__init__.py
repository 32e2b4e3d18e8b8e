"""The gradient doctor: is this backward right, and if not, what is wrong with it?"""

from npgpt.gradcheck.check import check, check_function, examine
from npgpt.gradcheck.files import examine_file
from npgpt.gradcheck.kinds import KINDS
from npgpt.gradcheck.report import Finding, GradientMismatch, Report, Row
from npgpt.gradcheck.scalar import check_scalar

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
