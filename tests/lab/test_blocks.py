"""A report's parts as Markdown."""

from npgpt.lab.blocks import Code, Heading, Items, Picture, Table, Text, to_markdown

PARTS = [Heading("H"), Text("a *b* <c>", (("words", "https://example.org"),)),
         Text("so", strong=True), Table("Cap", ("x", "y"), (("r|1", "2"),)),
         Items(("one *", "two")), Picture("p", "alt", "caption"),
         Code("a = '```'\n", "toml", "fold")]


def test_every_part_is_written_and_characters_stay_what_they_are():
    text = to_markdown("T", PARTS, {"p": "pictures/p.svg"})
    assert text.startswith("# T\n\n## H\n\na \\*b\\* \\<c> [words](https://example.org)\n\n**so**")
    assert "| x | y |\n|---|---|\n| r\\|1 | 2 |" in text
    assert "\n\n- one \\*\n- two\n\n" in text
    assert "![alt](pictures/p.svg)\n\n*caption*" in text
    assert "````toml\na = '```'\n````" in text
