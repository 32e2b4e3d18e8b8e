"""The page is one file, sound HTML, and readable without seeing; the same as Markdown."""

from html.parser import HTMLParser

from npgpt.lab.pages import code, heading, items, pages, picture, table, text

DRAWN = {"p": b"<svg/>"}
PARTS = [heading("H"), text("a *b* < c", ("words", "https://example.org")),
         text("so", strong=True), items(("one & two", "three *")),
         table("Cap: tion", ("x", "y", "z"), (("r<|1", "2 (1 to 3)"),)),
         *picture("p", DRAWN, 'an "alt"', "caption"), *picture("missing", DRAWN, "alt", "caption"),
         code("a = '```'\n", "toml", "fold"), code("plain", "sh")]
VOID = {"meta", "img", "br", "link"}


class Reader(HTMLParser):
    """Checks that tags close in order, and keeps them with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def test_the_page_is_well_formed_and_says_what_the_parts_say():
    page = Reader(pages("T & U", PARTS).html)
    assert "T & U" in page.words and "a *b* < c" in page.words and "r<|1" in page.words
    assert ("html", {"lang": "en"}) in page.tags
    scopes = [attrs.get("scope") for tag, attrs in page.tags if tag == "th"]
    assert scopes == ["col", "col", "col", "row"]
    assert sum(tag == "caption" for tag, _ in page.tags) == 1
    assert [attrs["alt"] for tag, attrs in page.tags if tag == "img"] == ['an "alt"']
    assert sum(tag == "li" for tag, _ in page.tags) == 2 and "one & two" in page.words
    assert sum(tag == "details" for tag, _ in page.tags) == 1


def test_nothing_is_fetched_from_anywhere():
    page = Reader(pages("T", PARTS).html)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    for tag, attrs in page.tags:
        assert attrs.get("src", "data:").startswith("data:")
        assert "href" not in attrs or tag == "a"
    style = pages("T", []).html
    assert "url(" not in style and "@import" not in style and "http" not in style


def test_in_markdown_every_part_is_written_and_characters_stay_what_they_are():
    page = pages("T", PARTS).markdown
    assert page.startswith(
        "# T\n\n## H\n\na \\*b\\* \\< c [words](https://example.org)\n\n**so**\n\n")
    assert "| x | y | z |\n|---|---|---|\n| r\\<\\|1 | 2 (1 to 3) |   |" in page
    assert "\n\n- one & two\n- three \\*\n\n" in page
    assert '![an "alt"](pictures/p.svg)\n\n*caption*' in page
    assert "````toml\na = '```'\n````" in page
