"""Completion: a script for each shell that knows every verb and its options."""

import importlib.util
import subprocess

import pytest

from npgpt.cli import VERBS
from npgpt.cli.completion import SHELLS, script

needs_shtab = pytest.mark.skipif(importlib.util.find_spec("shtab") is None,
                                 reason="shtab is not installed")


@needs_shtab
@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_knows_verbs_options_and_names(npgpt, shell):
    code, out, err = npgpt("completion", shell)
    assert (code, err) == (0, "") and out == script(shell)
    assert all(verb in out for verb in VERBS)
    for known in ("temperature", "learning-rate", "shakespeare-char", "shortcut"):
        assert known in out


COMPLETED = """
source ./script
COMP_WORDS=({words}) COMP_CWORD={place}
_shtab_npgpt
echo "${{COMPREPLY[@]}}"
"""


@needs_shtab
@pytest.mark.parametrize("words, found", [
    (["npgpt", "gene"], {"generate"}),
    (["npgpt", "train", "--learn"], {"--learning-rate"}),
    (["npgpt", "demo", "short"], {"shortcut"}),
    (["npgpt", "train", "--preset", "gp"], {"gpt2"}),
    (["npgpt", "eval", "some"], {"some-run"}),
])
def test_bash_completes_verbs_options_names_and_files(tmp_path, words, found):
    (tmp_path / "script").write_text(script("bash"))
    (tmp_path / "some-run").touch()
    code = COMPLETED.format(words=" ".join(words), place=len(words) - 1)
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, text=True, capture_output=True)
    assert set(done.stdout.split()) == found, done.stderr


@pytest.mark.skipif(importlib.util.find_spec("shtab") is not None, reason="shtab is installed")
def test_without_shtab_the_message_names_the_extra(npgpt):
    code, out, err = npgpt("completion", "bash")
    assert (code, out) == (2, "") and "pip install 'npgpt[completion]'" in err


def test_an_unknown_shell_is_one_line(npgpt):
    code, _, err = npgpt("completion", "tcsh")
    assert code == 2 and "'tcsh'" in err and err.count("\n") == 1
