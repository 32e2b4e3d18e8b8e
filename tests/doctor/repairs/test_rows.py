"""The table of changes: every row parses, names a kind, and is found where it fits."""

import ast

import pytest

from npgpt.doctor.evidence.kinds import KINDS
from npgpt.doctor.repairs import rows
from npgpt.doctor.repairs.edits import tree

TABLES = {name: table for name, table in vars(rows).items()
          if isinstance(table, list) and table and isinstance(table[0], rows.Row)}
ROWS = [pytest.param(row, id=f"{name}: {row.pattern} -> {row.replacement}")
        for name, table in TABLES.items() for row in table]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_a_kind_and_both_its_sides_are_python(row):
    assert row.kind in KINDS
    for text in (row.pattern, row.replacement):
        assert isinstance(tree(text), ast.AST)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_changes_something(row):
    assert row.pattern != row.replacement


def test_no_row_stands_twice_in_a_table():
    for name, table in TABLES.items():
        assert len(set(table)) == len(table), name
