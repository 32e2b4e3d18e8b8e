"""The page as a whole: no request, the keyboard, contrast, narrow screens, awkward tokens, NaN."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from npgpt.view.check import failed_check
from npgpt.view.payload import payload

from .conftest import CONFIG, VIEWS, subject, window

HATCHED = "return document.querySelectorAll('section:not([hidden]) .hatched').length"
ALL = [*VIEWS, "compare"]


@pytest.mark.smoke
def test_a_page_from_disk_asks_for_nothing_and_complains_of_nothing(browser, url):
    browser.requests()
    browser.open(url)
    for view in ALL:
        browser.show(view)
    asked = {request.partition("#")[0] for request in browser.requests()}
    assert {request for request in asked if not request.startswith("data:")} == {url}


def test_the_policy_forbids_scripts_and_requests_of_others(browser, url):
    browser.open(url)
    ran = browser.js("""
        const script = document.createElement("script");
        script.textContent = "window.stranger = 1";
        document.body.append(script);
        const image = new Image();
        image.src = "http://127.0.0.1:9/x.png";
        document.body.append(image);
        return window.stranger || null""")
    assert ran is None
    assert [e for e in browser.errors() if "Content Security Policy" in e]


def test_tokens_that_look_like_markup_are_shown_as_they_are(browser, url):
    browser.open(url, "view=tokens")
    shown = browser.js("return [...document.querySelectorAll('#view-tokens .tokens button')]"
                       ".map((b) => b.firstChild.textContent)")
    assert shown == ["</script>", "<!--", "␣", "↵", "<0xE2><0x82>", "<0xAC>", "a", "␣the", '"',
                     "&amp;", "<U+2028>", "<b>"]
    assert browser.js("return document.querySelectorAll('main script, main b b').length") == 0


def test_a_link_shows_what_its_sender_saw(browser, url):
    browser.open(url, "view=attention&layer=2&head=1&pos=6&key=3")
    assert browser.js("return ['layer', 'head', 'pos', 'entry'].map("
                      "(x) => document.getElementById(`pick-${x}`).value)") == [
        "2", "1", "6", "h.2.attn.c_proj"]
    readout = browser.js("return document.querySelector('[data-figure=attention-weights] "
                         ".readout').textContent")
    assert readout.startswith("h.2.attn.weights[0, 1, 6, 3] = ")
    browser.js("document.querySelector('[data-view=flow]').click()")
    assert "view=flow" in browser.address()
    assert "layer=2" in browser.address()
    browser.driver.back()
    assert browser.js("return !document.getElementById('view-attention').hidden")


@pytest.mark.parametrize("hash_", [
    "view=nothing&layer=99&head=-1&pos=1e9&entry=h.77.x&step=NaN", "layer=%E0%A4%A", "&&==&view",
    "view=tensor&entry=loss", "view=tensor&entry=logits&cell=999999", "view=tape&step=99999",
])
def test_an_address_that_was_altered_opens_a_page_all_the_same(browser, url, hash_):
    browser.open(url, hash_)
    assert browser.js("return document.querySelectorAll('section:not([hidden])').length") == 1


WALKED = """
window.stops = [];
document.addEventListener("focusin", ({ target: at }) => {
  const style = getComputedStyle(at);
  window.stops.push([at.dataset.picture || at.dataset.view || at.id || at.textContent.slice(0, 30),
    style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
    Boolean(at.getAttribute("aria-label") || at.getAttribute("aria-labelledby") || at.textContent
            || at.labels && at.labels.length)]);
});
"""


def test_every_view_is_walked_by_keyboard_with_a_visible_focus(browser, url):
    browser.open(url)
    browser.js(WALKED)
    for view in ALL:
        browser.show(view)
        browser.js("window.stops.length = 0; document.getElementById('skip').focus()")
        browser.keys(*["TAB"] * 70)
        seen = browser.js("return window.stops")
        assert [name for name, visible, _ in seen if not visible] == [], view
        assert [name for name, _, named in seen if not named] == [], view
        # round once and further: nothing keeps the focus
        assert [name for name, *_ in seen].count("tour") > 1, view
        pictures = browser.js("""return [...document.querySelectorAll(
            'section:not([hidden]) figure:not([hidden]) [data-picture]:not([hidden])')]
            .filter((each) => each.tabIndex === 0).map((each) => each.dataset.picture)""")
        assert set(pictures) <= {name for name, *_ in seen}, view


def test_arrows_in_a_picture_say_what_hover_says(browser, url):
    browser.open(url, "view=tensor&entry=h.0.ln_1")
    picture = "document.querySelector('[data-picture=tensor-value]')"
    readout = "return document.querySelector('[data-figure=tensor-value] .readout').textContent"
    browser.js(f"{picture}.focus()")
    browser.keys("ARROW_DOWN", "ARROW_DOWN", "ARROW_RIGHT")
    by_keyboard = browser.js(readout)
    assert by_keyboard.startswith("h.0.ln_1[0, 2, 1] = ")
    browser.keys("c")
    assert browser.js("return document.querySelector('.toast').textContent").startswith(
        "copied: h.0.ln_1[0, 2, 1] = ")
    assert "cell=1" in browser.address() and "pos=2" in browser.address()
    browser.keys("HOME")
    assert browser.js(readout).startswith("h.0.ln_1[0, 2, 0] = ")
    browser.js(f"""const box = {picture}.querySelector("svg").getBoundingClientRect();
        const at = {picture}.querySelector("svg > rect").getBoundingClientRect();
        {picture}.dispatchEvent(new PointerEvent("pointermove", {{ bubbles: true,
          clientX: at.x + at.width * 1.5 - 2, clientY: at.y + at.height / 2 }}))""")
    assert browser.js(readout) == by_keyboard


def test_keys_step_along_the_tape_and_open_views(browser, url):
    browser.open(url, "view=tape&step=4")
    browser.js("document.getElementById('main').focus()")
    browser.keys(".", ".", ",")
    assert "step=5" in browser.address()
    assert browser.js("return document.getElementById('now').textContent").startswith("Step 6 of ")
    browser.keys("4")
    assert "view=attention" in browser.address()
    browser.keys("?")
    assert browser.js("return document.querySelector('dialog[open]') !== null")
    browser.keys("ESCAPE")
    assert browser.js("return document.querySelector('dialog[open]') === null")


def test_enter_opens_what_the_cursor_is_on_and_escape_goes_back(browser, url):
    browser.open(url, "view=flow")
    browser.js("document.querySelector('[data-picture=flow-stream]').focus()")
    browser.keys("ARROW_RIGHT", "ARROW_RIGHT", "ENTER")
    assert "view=tensor" in browser.address()
    assert "entry=h.0.residual_2" in browser.address()
    browser.keys("ESCAPE")
    browser.becomes("return document.querySelector('section:not([hidden])').id", "view-flow")


def test_a_layers_name_opens_its_text(browser, url):
    browser.open(url, "view=tensor&entry=h.0.ln_1")
    browser.js("[...document.querySelectorAll('#view-tensor button')]"
               ".find((b) => b.textContent === 'LayerNorm').click()")
    text = browser.js("return document.querySelector('dialog pre').textContent")
    assert "xhat = (x - mean) * rstd" in text
    assert "def layernorm_backward" in browser.js(
        "return document.querySelector('dialog details pre').textContent")


def test_the_tour_has_ten_steps_and_is_off_until_asked_for(browser, url):
    browser.open(url)
    assert browser.js("return document.querySelector('.tour')") is None
    browser.js("document.getElementById('tour').click()")
    for step in range(1, 11):
        assert browser.js("return document.querySelector('.tour b').textContent") == (
            f"Step {step} of 10")
        assert browser.js("return document.querySelectorAll('.toured').length") == 1, step
        browser.keys("ENTER")
    assert browser.js("return document.querySelector('.tour')") is None


CONTRAST = """
const parse = (colour) => { const n = colour.match(/[\\d.]+/g).map(Number);
  return n.length > 3 ? n : [...n, 1]; };
const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const ratio = (a, b) => {
  const [x, y] = [light(a), light(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
};
const behind = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour[3] === 1) return colour;
  }
  return [255, 255, 255, 1];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !node.getClientRects().length) continue;
  if (node.closest("canvas, script, option, .picture svg text[style*=fill]")) continue;
  const style = getComputedStyle(node), drawn = node.closest("svg");
  const ink = parse(drawn ? style.fill : style.color);
  const paper = behind(drawn ? drawn.parentElement : node), measured = ratio(ink, paper);
  if (measured < 4.5) found.push([node.textContent.slice(0, 40), measured]);
}
const root = getComputedStyle(document.documentElement);
const hex = (name) => {
  const c = root.getPropertyValue(`--${name}`).trim();
  return [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16));
};
for (const mark of "value gradient parameter loss branch warn edge focus soft".split(" "))
  for (const paper of ["paper", "band"])
    if (ratio(hex(mark), hex(paper)) < 3) found.push([mark, paper]);
// numbers in cells, each on its own pixel
const heads = document.querySelector("#view-entropy:not([hidden]) [data-picture=entropy-heads]");
if (heads) {
  const canvas = heads.querySelector("canvas"), pixels = canvas.getContext("2d")
    .getImageData(0, 0, canvas.width, canvas.height).data;
  heads.querySelectorAll("svg text[style*=fill]").forEach((text, i) => {
    const measured = ratio(parse(getComputedStyle(text).fill), pixels.subarray(4 * i, 4 * i + 3));
    if (measured < 4.5) found.push([text.textContent, measured]);
  });
}
if (ratio(hex("branch"), hex("gradient")) < 1.5) found.push(["branch", "gradient"]);
return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_have_contrast_in_both_themes(browser, url, scheme):
    browser.prefer(color_scheme=scheme)
    browser.open(url)
    for view in ALL:
        browser.show(view)
        assert browser.js(CONTRAST) == [], view


def test_the_theme_follows_the_system_and_a_switch_overrules_it(browser, url):
    paper = "return getComputedStyle(document.body).backgroundColor"
    browser.open(url)
    light = browser.js(paper)
    browser.prefer(color_scheme="dark")
    dark = browser.js(paper)
    assert light != dark
    switch = "document.getElementById('theme').click()"
    browser.js(switch)
    assert browser.js(paper) == light
    browser.js(switch)
    browser.prefer(color_scheme="light")
    assert browser.js(paper) == dark


def test_nothing_moves(browser, url):
    browser.open(url, "view=tape")
    browser.js("document.querySelector('[aria-label=\"one step on\"]').click()")
    assert browser.js("return document.getAnimations().length") == 0


@pytest.mark.parametrize("width", [360, 400, 800])
def test_a_narrow_screen_has_no_sideways_scroll(browser, url, width):
    browser.size(width)
    browser.open(url)
    for view in ALL:
        browser.show(view)
        assert browser.js("return document.documentElement.scrollWidth") <= width, view


def test_print_has_every_view_and_no_controls(browser, url):
    browser.open(url)
    printed = browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")
    browser.js("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.js("return document.querySelectorAll('section[hidden]').length") == 0
    browser.js("window.dispatchEvent(new Event('afterprint'))")
    assert browser.js("return document.querySelectorAll('section:not([hidden])').length") == 1


def test_a_model_with_nan_is_hatched_counted_and_named(browser, broken):
    found, _ = payload(broken, window())
    url = browser.write("nan", found)
    browser.open(url, "entry=h.1.mlp.c_fc&layer=2")
    for view in VIEWS:
        browser.show(view)
    browser.open(url, "view=flow")
    assert "first NaN or infinity stands in h.1.mlp.c_fc" in browser.js(
        "return document.querySelector('#view-flow .caption').textContent")
    browser.open(url, "view=tensor&entry=h.1.mlp.c_fc")
    # one channel of 20, at every position: a run of one cell in each row
    assert browser.js("return document.querySelectorAll('[data-figure=tensor-value] .hatched')"
                      ".length") == 12
    assert "hatched: NaN or infinite, 12" in browser.js(
        "return document.querySelector('[data-figure=tensor-value]').textContent")


@pytest.mark.parametrize("changed", [
    {"residual": False}, {"norm": "none"}, {"tie_word_embeddings": False},
    {"activation_function": "swiglu"}, {"n_layer": 1, "n_head": 1}, {"weight_norm": True},
], ids=str)
def test_every_variant_has_its_page(browser, changed):
    config = replace(CONFIG, **changed)
    url = browser.write("variant", payload(subject(config), window())[0])
    browser.open(url)
    for view in VIEWS:
        browser.show(view)
        text = browser.js("return document.querySelector('section:not([hidden])').innerText")
        assert "undefined" not in text and "[object" not in text, view


def test_a_text_that_ends_within_the_page_has_no_loss_at_its_end(browser):
    url = browser.write("end", payload(subject(), window(15))[0])
    browser.open(url, "view=tokens&pos=14")
    text = browser.js("return document.getElementById('view-tokens').innerText")
    assert "the text ends after" in text and "nan" not in text.lower()
    assert "the mean of 14 predictions in 15 tokens" in browser.js(
        "return document.getElementById('top').innerText")


def words(browser, view):
    """What a view says."""
    browser.show(view)
    return browser.js("return document.querySelector('section:not([hidden])').innerText")


def test_a_model_whose_logits_are_all_equal_names_no_best_and_no_worst(browser):
    model = subject()
    params = {name: array * (0.0 if name.startswith("ln_f") else 1.0)
              for name, array in model.params.items()}
    browser.open(browser.write("ties", payload(replace(model, params=params), window())[0]))
    assert "all tokens cost the same, 2.56 nats" in words(browser, "start")
    told = words(browser, "tokens")
    assert "All tokens cost the same" in told and "rank 1, tied with 12 others" in told
    # no gradient arrives: no fraction, and no layer that it went most through
    assert "the gradient is 0, so there is no fraction" in words(browser, "flow")
    for view in VIEWS:
        text = words(browser, view)
        assert "undefined" not in text and "nan" not in text and "went most" not in text, view
    assert "the update is weight decay alone" in words(browser, "parameters")
    assert "all are 0" in words(browser, "parameters")


def test_every_entry_below_the_threshold_is_marked_and_counted(browser):
    model = subject()
    # queries and keys that are nearly 0 hand nearly nothing back to each other
    params = {name: array.copy() for name, array in model.params.items()}
    for name, array in params.items():
        if ".c_attn" in name:
            array[..., :2 * CONFIG.n_embd] *= 1e-6
    browser.open(browser.write("faint", payload(replace(model, params=params), window())[0]))
    assert "queries and keys of all 3 layers" in words(browser, "start").replace("\n", " ")
    words(browser, "flow")
    marks = browser.js("return document.querySelectorAll("
                       "'[data-figure=flow-entries] .warnmark').length")
    noted = [row for row in browser.table("flow-entries") if row[-1] == "vanishing"]
    assert marks == len(noted) and {row[0] for row in noted} >= {
        f"h.{i}.attn.{part}" for i in range(3) for part in "qk"}


def test_a_page_with_nan_opens_where_it_begins(browser, broken):
    browser.open(browser.write("nan", payload(broken, window())[0]))
    assert "The first parameter with one is h.1.mlp.c_fc.weight" in words(browser, "start")
    words(browser, "tensor")
    assert browser.js("return document.querySelector('[data-figure=tensor-value] .readout')"
                      ".textContent").startswith("h.1.mlp.c_fc[0, 0, 5] = nan")
    told = words(browser, "parameters")
    assert "h.1.mlp.c_fc.weight, shape" in told and "a norm of 0" not in told


@pytest.mark.parametrize("pair", ["right", "raises"])
def test_a_check_without_a_picture_has_its_verdict_in_words(browser, tmp_path, pair):
    file = tmp_path / "mine.py"
    file.write_text("# gradcheck: x=(3,4)\ndef scale_forward(x):\n    return 2 * x, None\n\n"
                    "def scale_backward(dout, cache):\n    return "
                    f"{'2 * dout' if pair == 'right' else 'missing'}\n")
    found = payload(subject(), window())[0] | {"check": failed_check(str(file))}
    browser.open(browser.write("verdict", found))
    wanted = "every gradient is right" if pair == "right" else "backward raised NameError"
    assert wanted in words(browser, "check")


def test_the_keys_close_to_the_button_and_a_fresh_tape_opens_at_its_start(browser, url):
    browser.open(url)
    browser.keys("?", "ESCAPE")
    browser.becomes("return document.activeElement.id", "help")
    words(browser, "tape")
    assert browser.js("return document.getElementById('now').textContent").startswith("Step 1 of")


@pytest.mark.parametrize("width", [360, 400])
def test_a_narrow_screen_labels_every_token_or_says_what_is_out_of_sight(browser, url, width):
    browser.size(width)
    browser.open(url)
    browser.show("tokens")
    assert browser.js("return document.querySelectorAll('[data-figure=loss] svg text.mono')"
                      ".length") == 12
    for view in ALL:
        browser.show(view)
        assert browser.js("""return [...document.querySelectorAll(
            'section:not([hidden]) figure:not([hidden])')].filter((figure) => {
              const { scrollWidth, clientWidth } = figure.querySelector(".picture"),
                note = figure.querySelector(".more");
              return scrollWidth > clientWidth + 2 && note.hidden;
            }).map((figure) => figure.dataset.figure)""") == [], view
