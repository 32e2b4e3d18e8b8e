"""The page as one file: its HTML, style, scripts and numbers put together, with a policy.

The files of page/ stand in index.html where a comment says so: all of *.css, all of *.js in the
order of their names as one script, before it each of vendor/*.js as one of its own. The policy lets
these very texts run and be applied, by their digests, and no request leave the page.
"""

from __future__ import annotations

import base64
import hashlib
import html
from importlib import resources
from importlib.resources.abc import Traversable

from .encoding import Json, written

PLACES = ("csp", "title", "style", "payload", "script")


def page(payload: Json, live: bool = False) -> str:
    """The HTML of a payload; a `live` one may ask the server that it came from."""
    folder = resources.files(__package__) / "page"
    style = "".join(_texts(folder, ".css"))
    own = '"use strict";\n(() => {\n' + "\n".join(_texts(folder, ".js")) + "\n})();\n"
    scripts = [*_texts(folder / "vendor", ".js"), own]
    meta = payload["meta"]
    parts = {
        "csp": '<meta http-equiv="Content-Security-Policy" '
               f'content="{policy(style, scripts, live)}">',
        "title": html.escape(f"{meta['model']} - npgpt view"),
        "style": f"<style>{style}</style>",
        "payload": '<script type="application/json" id="trace">'
                   f"{written(payload, meta['exact'])}</script>",
        "script": "\n".join(f"<script>{script}</script>" for script in scripts)}
    text = (folder / "index.html").read_text(encoding="utf-8")
    before, *after = _split(text)
    return before + "".join(parts[name] + rest for name, rest in zip(PLACES, after))


def policy(style: str, scripts: list[str], live: bool) -> str:
    """The content security policy: nothing but these scripts and this style."""
    allowed = " ".join(_digest(script) for script in scripts)
    connect = " connect-src 'self';" if live else ""
    return (f"default-src 'none'; script-src {allowed}; style-src {_digest(style)}; img-src data:;"
            f"{connect} base-uri 'none'; form-action 'none'")


def _split(text: str) -> list[str]:
    """The pieces of index.html between its places, which stand in the order of PLACES."""
    found = []
    for name in PLACES:
        before, mark, text = text.partition(f"<!-- npgpt:{name} -->")
        assert mark, f"index.html lacks the place of {name}, or has it too early"
        found.append(before)
    return [*found, text]


def _texts(folder: Traversable, ending: str) -> list[str]:
    if not folder.is_dir():
        return []
    files = sorted((file for file in folder.iterdir() if file.name.endswith(ending)),
                   key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files]


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
