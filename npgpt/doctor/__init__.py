"""The doctor: is this gradient, value or program right, and if not, what is wrong with it?

A check for each style: check (a pair), check_function, check_scalar, check_layer, check_loss,
check_torch, check_jax; examine_file for all of a file.
"""

from ..gradcheck.pair import ContractError, constant
from .check import check, examine
from .files import examine_file
from .forward import diagnose_value
from .function import check_function, check_scalar
from .jax_check import check_jax
from .kinds import KINDS
from .layer import check_layer
from .loss import check_loss
from .report import Finding, GradientMismatch, Report, Row
from .torch_check import check_torch
from .values.choose import ValueReport
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
