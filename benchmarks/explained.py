"""The table of all kinds in the doctor's README: `python -m benchmarks.explained`."""

from __future__ import annotations

from npgpt.doctor.explanations import table

from .readme import ROOT, put_section

PAGE = ROOT / "npgpt" / "doctor" / "README.md"

if __name__ == "__main__":
    put_section("kinds", table(), PAGE)
