"""Readers: the page is followed word for word, with a compiler and with node."""

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from npgpt import packs
from npgpt.packs import compare_packs, reader, tiny_config, write_pack

PAGE = Path(packs.__file__).with_name("README.md").read_text(encoding="utf-8")


def block(language):
    found = re.search(rf"^( *)```{language}\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
    return textwrap.dedent(found[2])


@pytest.fixture
def folder(tmp_path):
    write_pack(tmp_path / "my-pack", tiny_config())
    for language, name in (("c", "pack.h"), ("js", "pack.mjs")):
        (tmp_path / name).write_text(reader(language), encoding="utf-8")
    return tmp_path


def build_and_compare(folder, source):
    (folder / "port.c").write_text(source, encoding="utf-8")
    for command in (["cc", "-Wall", "-Werror", "port.c", "-o", "port", "-lm"], ["./port"]):
        subprocess.run(command, cwd=folder, check=True)
    return compare_packs(folder / "my-pack", folder / "mine.safetensors")


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_a_layer_in_c_with_the_pages_mistake_is_diagnosed_as_the_page_shows(folder):
    result = build_and_compare(folder, block("c"))
    assert result.kinds == ("unbiased-variance",)
    said = str(result)[str(result).index("first difference"):]
    assert " ".join(said.split()) in " ".join(PAGE.split())
    repaired = build_and_compare(folder, block("c").replace("(C - 1)", "C"))
    assert repaired.ok and repaired.compared == 1


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_every_tensor_that_c_reads_and_writes_comes_back(folder):
    source = """
    #include "pack.h"
    int main(void) {
        pack_open("my-pack/pack.safetensors");
        if (pack_get("float64/activations/none")) return 1;
        pack_put("ids", "I64", "[3,7]", pack_get("ids"), 3 * 7 * sizeof(int64_t));
        pack_put("float32/activations/logits", "F32", "[3,7,17]",
                 pack_get("float32/activations/logits"), 3 * 7 * 17 * sizeof(float));
        pack_save("mine.safetensors");
        return 0;
    }
    """
    result = build_and_compare(folder, source)
    assert result.ok and result.precisions == ["float32"]


@pytest.mark.skipif(not shutil.which("node"), reason="no node")
def test_a_layer_in_javascript_agrees(folder):
    (folder / "port.mjs").write_text(block("js"), encoding="utf-8")
    subprocess.run(["node", "port.mjs"], cwd=folder, check=True)
    result = compare_packs(folder / "my-pack", folder / "mine.safetensors")
    assert result.ok and result.compared == 1


@pytest.mark.smoke
def test_readers_are_short_and_another_language_is_an_error():
    assert all(len(reader(language).splitlines()) <= 60 for language in ("c", "js"))
    with pytest.raises(ValueError, match="unknown language 'rust'"):
        reader("rust")
