"""The page is one file, sound HTML, and readable without seeing."""

from html.parser import HTMLParser

from npgpt.lab.blocks import Code, Heading, Items, Picture, Table, Text
from npgpt.lab.page import to_html

PARTS = [Heading("H"), Text("a < b", (("words", "https://example.org"),)), Text("so", strong=True),
         Items(("one & two", "three")),
         Table("Cap: tion", ("x", "y"), (("r<1", "2 (1 to 3)"),)),
         Picture("p", 'an "alt"', "caption"), Code("a = 1\n", "toml", "fold"), Code("plain")]
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
    page = Reader(to_html("T & U", PARTS, {"p": b"<svg/>"}))
    assert "T & U" in page.words and "a < b" in page.words and "r<1" in page.words
    assert ("html", {"lang": "en"}) in page.tags
    scopes = [attrs.get("scope") for tag, attrs in page.tags if tag == "th"]
    assert scopes == ["col", "col", "row"]
    assert sum(tag == "caption" for tag, _ in page.tags) == 1
    assert [attrs["alt"] for tag, attrs in page.tags if tag == "img"] == ['an "alt"']
    assert sum(tag == "li" for tag, _ in page.tags) == 2 and "one & two" in page.words
    assert sum(tag == "details" for tag, _ in page.tags) == 1


def test_nothing_is_fetched_from_anywhere():
    page = Reader(to_html("T", PARTS, {"p": b"<svg/>"}))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    for tag, attrs in page.tags:
        assert attrs.get("src", "data:").startswith("data:")
        assert "href" not in attrs or tag == "a"
    style = to_html("T", [], {})
    assert "url(" not in style and "@import" not in style and "http" not in style
