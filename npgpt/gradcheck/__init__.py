"""Is this gradient right? Numeric derivatives against your own backward; proof.py is the idea.

    report = check(forward, backward, x, weight, eps=1e-5)
    assert report.ok, report

`npgpt.doctor` has the same three functions and also names what is wrong.
"""

from .check import Report, Row, check, check_function, check_scalar
from .pair import ContractError, constant

__all__ = ["ContractError", "Report", "Row", "check", "check_function", "check_scalar", "constant"]
