"""The page's own files: short, and with no address of the network in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import npgpt

FILES = sorted(path for path in (Path(npgpt.__file__).parent / "view/page").iterdir())
# a namespace is a name, and is not asked for
NAMESPACE = "http://www.w3.org/2000/svg"


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_a_file_of_the_page_is_short_and_names_no_address(path):
    text = path.read_text(encoding="utf-8").replace(NAMESPACE, "")
    lines = text.splitlines()
    assert len(lines) <= 400
    assert [line for line in lines if len(line) > 100] == []
    for address in re.findall(r"https?:|//[a-z]+\.|@import|url\([^)]*\)", text):
        assert address == "url(#${pattern})"
