"""The page is one file that asks for nothing, whatever the text, and the wheel holds its parts."""

import base64
import configparser
import fnmatch
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import npgpt
from npgpt.view.html import page

from .models import payload_of

pytestmark = pytest.mark.smoke
PACKAGE = Path(npgpt.__file__).parent
HOME = PACKAGE.parent


def elements(text, kind):
    return re.findall(rf"<{kind}[^>]*>(.*?)</{kind}>", text, re.DOTALL)


def test_the_policy_allows_these_scripts_and_this_style_and_nothing_else():
    text = page(payload_of())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    assert "connect-src" not in policy and "http" not in policy
    for kind, which in (("script", elements(text, "script")[1:]), ("style",
                                                                   elements(text, "style"))):
        assert which
        for content in which:
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy, kind
    assert "connect-src 'self'" in page(payload_of(), live=True)


def test_the_page_names_no_other_file():
    text = page(payload_of())
    assert not re.search(r"@import|url\((?!#)|<link[^>]+href=\"(?!data:)|src=", text)


def test_no_text_ends_the_script_that_holds_it_and_the_title_is_escaped():
    shown = payload_of()
    shown["meta"]["model"] = "</title><script>alert(1)</script>"
    shown["tokens"][0]["text"] = "</script><!-- <script>\u2028"
    text = page(shown)
    assert json.loads(elements(text, "script")[0])["tokens"][0] == shown["tokens"][0]
    assert "&lt;script&gt;alert(1)" in elements(text, "title")[0]
    # one of the payload, and those of the page itself
    assert text.count("<script") == text.count("</script>") == len(elements(text, "script"))


def test_every_file_that_is_not_python_is_package_data():
    setup = configparser.ConfigParser()
    setup.read(HOME / "setup.cfg")
    data = {room: patterns.replace(",", " ").split()
            for room, patterns in setup["options.package_data"].items()}
    missing = []
    for path in PACKAGE.rglob("*"):
        inside = path.relative_to(PACKAGE)
        # what a code host shows, and a wheel leaves out
        shown = path.name in ("README.md", "screenshot.png")
        if path.is_dir() or path.suffix in (".py", ".pyc") or shown:
            continue
        wanted = any(
            fnmatch.fnmatch(str(inside.relative_to(room)), pattern)
            for room, patterns in (
                (Path(*name.split(".")[1:]), patterns) for name, patterns in data.items())
            for pattern in patterns if inside.is_relative_to(room))
        missing += [] if wanted else [str(inside)]
    assert missing == []


def test_what_is_built_for_a_wheel_holds_the_whole_page(tmp_path):
    # not imported: setuptools puts a distutils of its own into the process
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools is not installed")
    copy = tmp_path / "source"
    shutil.copytree(PACKAGE, copy / "npgpt", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(HOME / name, copy)
    built = subprocess.run(
        [sys.executable, "-c", "import setuptools; setuptools.setup()", "build_py",
         "--build-lib", "built"],
        cwd=copy, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    held, wanted = ({path.name: path.read_bytes() for path in (root / "view" / "page").iterdir()}
                    for root in (copy / "built" / "npgpt", PACKAGE))
    assert "index.html" in wanted and held == wanted
