"""The doctor: is this gradient, value or program right, and if not, what is wrong with it?

A check for each style: check (a pair), check_function, check_scalar, check_layer, check_loss,
check_torch, check_jax; examine_file for all of a file.
"""

from ..gradcheck.pair import ContractError, constant
from .evidence.kinds import KINDS
from .evidence.report import Finding, GradientMismatch, Report, Row
from .examine import examine
from .styles.files import examine_file
from .styles.function import check_function, check_scalar
from .styles.jax_check import check_jax
from .styles.layer import check_layer
from .styles.loss import check_loss
from .styles.pairs import check
from .styles.torch_check import check_torch
from .values.choose import ValueReport
from .values.forward import diagnose_value
from .values.program import Program, value_kinds

__all__ = [
    "KINDS",
    "ContractError",
    "Finding",
    "GradientMismatch",
    "Program",
    "Report",
    "Row",
    "ValueReport",
    "check",
    "check_function",
    "check_jax",
    "check_layer",
    "check_loss",
    "check_scalar",
    "check_torch",
    "constant",
    "diagnose_value",
    "examine",
    "examine_file",
    "value_kinds",
]
