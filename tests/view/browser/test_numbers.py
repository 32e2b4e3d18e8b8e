"""Each view's numbers, read from the page, are those that NumPy computes from the same model."""

from __future__ import annotations

import numpy as np
import pytest

from npgpt.generation.sampling import Sampling
from npgpt.probe.entropy import attention_entropy, causal_bound
from npgpt.probe.trace import trace
from npgpt.view.encoding import encoded
from npgpt.view.payload import payload

from .conftest import CONFIG, subject, window

# the page has three digits, and prints what it computes from them
ROUNDED = 6e-3
T, H = 12, CONFIG.n_head


@pytest.fixture(scope="module")
def seen():
    w = window()
    return trace(subject().params, w.ids[None], w.targets[None], CONFIG)


def rms(array):
    return float(np.sqrt(np.mean(np.square(array))))


def numbers(rows, column):
    return np.array([row[column] for row in rows], float)


def test_the_tape_has_every_entry_with_its_size_both_ways(browser, url, seen):
    browser.open(url, "view=tape")
    rows = {row[0]: row for row in browser.table("tape")}
    for name, value in seen.activations.items():
        whole = name.endswith((".q", ".k", ".v", ".weights"))
        assert rows[name][3] == pytest.approx(rms(value), rel=ROUNDED), name
        if not whole and name != "loss":
            assert rows[name][4] == pytest.approx(rms(seen.dactivations[name]), rel=ROUNDED), name
    assert [row[0] for row in rows.values()] == [e for e in rows]


@pytest.mark.smoke
def test_a_tensor_has_its_value_and_its_gradient(browser, url, seen):
    for name in ("embedding.sum", "h.0.ln_1", "h.1.mlp.act", "h.2.residual_2", "logits"):
        browser.open(url, f"view=tensor&entry={name}")
        for which, array in (("value", seen.activations), ("gradient", seen.dactivations)):
            rows = browser.table(f"tensor-{which}")
            got = np.array([row[1:] for row in rows], float)
            np.testing.assert_allclose(got, array[name][0][:, :got.shape[1]], rtol=ROUNDED,
                                       atol=1e-12)


def test_a_heads_query_is_a_part_of_the_matrix_it_was_cut_from(browser, url, seen):
    browser.open(url, "view=tensor&entry=h.1.attn.k&head=1")
    got = np.array([row[1:] for row in browser.table("tensor-value")], float)
    np.testing.assert_allclose(got, seen.activations["h.1.attn.k"][0, 1], rtol=ROUNDED)


@pytest.mark.parametrize("name, position, cell", [
    ("embedding.token", 3, 2), ("embedding.sum", 4, 7), ("h.0.ln_1", 5, 3),
    ("h.0.residual_1", 2, 1),
    ("h.1.mlp.act", 6, 11), ("h.1.attn.mixed", 7, 9), ("h.1.attn.c_attn", 0, 0),
])
def test_a_formula_with_a_cells_numbers_gives_the_cell(browser, url, seen, name, position, cell):
    browser.open(url, f"view=tensor&entry={name}&pos={position}&cell={cell}")
    for way, array in (("forward", seen.activations), ("backward", seen.dactivations)):
        text = browser.js(f"return document.querySelector('[data-formula={way}]').innerText")
        shown = [part.replace("−", "-") for line in text.splitlines()
                 for part in line.replace("=", " ").replace(":", " ").split()]
        found = [float(x) for x in shown if x.lstrip("-")[:1].isdigit() and is_number(x)]
        wanted = array[name][0, position, cell]
        assert any(x == pytest.approx(wanted, rel=0.02, abs=1e-9) for x in found), (way, text)


def is_number(word):
    try:
        float(word)
    except ValueError:
        return False
    return True


def test_a_weights_formula_gives_the_weight_from_query_and_key(browser, url, seen):
    browser.open(url, "view=tensor&entry=h.1.attn.weights&head=1&pos=5&key=2")
    text = browser.js("return document.querySelector('[data-formula=forward]').innerText")
    wanted = seen.activations["h.1.attn.weights"][0, 1, 5, 2]
    found = [float(word) for word in text.replace("−", "-").split() if is_number(word)]
    assert any(x == pytest.approx(wanted, rel=0.02) for x in found), text
    scores = (seen.activations["h.1.attn.q"][0, 1, 5] @ seen.activations["h.1.attn.k"][0, 1, 2]
              / np.sqrt(CONFIG.n_embd // H))
    assert any(x == pytest.approx(scores, rel=0.02) for x in found), text


def test_gradient_flow_splits_at_every_half_block_as_the_projections_do(browser, url, seen):
    browser.open(url, "view=flow")
    stream = {row[0]: row[1] for row in browser.table("flow-stream")}
    for name, number in stream.items():
        assert number == pytest.approx(rms(seen.dactivations[name]), rel=ROUNDED)
    points, rows = list(stream), browser.table("flow-ways")
    for row, before, after in zip(rows, points, points[1:]):
        whole, residual = seen.dactivations[before], seen.dactivations[after]
        fraction = (whole * residual).sum() / np.square(whole).sum()
        assert row[2] == pytest.approx(fraction, rel=ROUNDED)
        assert row[3] == pytest.approx(1 - fraction, rel=ROUNDED, abs=1e-5)
        assert row[5] == pytest.approx(np.linalg.norm(whole - residual), rel=ROUNDED)


def test_attention_has_the_weights_and_their_gradient(browser, url, seen):
    browser.open(url, "view=attention&layer=1&head=1")
    weights = seen.activations["h.1.attn.weights"][0, 1]
    lower = np.tril_indices(T)
    got = np.array([[x if x != "" else 0 for x in row[1:]] for row in
                    browser.table("attention-weights")], float)
    np.testing.assert_allclose(got[lower], weights[lower], rtol=ROUNDED)
    v = seen.activations["h.1.attn.v"][0, 1]
    dmixed = seen.dactivations["h.1.attn.mixed"][0, :, 6:]
    got = np.array([[x if x != "" else 0 for x in row[1:]] for row in
                    browser.table("attention-gradient")], float)
    np.testing.assert_allclose(got[lower], (dmixed @ v.T)[lower], rtol=ROUNDED, atol=1e-12)
    previous = [row[1:] for row in browser.table("heads")]
    for layer in range(CONFIG.n_layer):
        for head in range(H):
            of_head = seen.activations[f"h.{layer}.attn.weights"][0, head]
            assert previous[layer][head] == pytest.approx(np.diag(of_head, -1).mean(), rel=ROUNDED)


def test_entropy_is_a_fraction_of_the_causal_bound(browser, url, seen):
    browser.open(url, "view=entropy")
    heads, rows = browser.table("entropy-heads"), browser.table("entropy-rows")
    for layer in range(CONFIG.n_layer):
        weights = seen.activations[f"h.{layer}.attn.weights"][0]
        for head in range(H):
            found = attention_entropy(weights[head])
            assert heads[layer][1 + head] == pytest.approx(
                float(found) / causal_bound(T), rel=ROUNDED)
            row = weights[head]
            nats = -(row * np.log(np.where(row > 0, row, 1))).sum(-1)
            np.testing.assert_allclose(np.array(rows[layer * H + head][1:], float), nats,
                                       rtol=ROUNDED, atol=1e-9)


def test_a_watched_runs_entropy_is_drawn_over_its_steps(browser, tiny):
    bound = causal_bound(24)
    nats = np.linspace(0.2, bound, 18).reshape(3, 3, 2)
    training = {"steps": [0, 100, 200], "bound": bound, "nats": nats.tolist()}
    watched = tiny | {"entropy": tiny["entropy"] | {"training": training}}
    browser.open(browser.write("watched", watched), "view=entropy&layer=1&head=1")
    rows = browser.table("entropy-training")
    np.testing.assert_allclose(numbers(rows, 1), nats[:, 1, 1] / bound, rtol=1e-4)
    np.testing.assert_allclose(numbers(rows, 2), nats.mean((1, 2)) / bound, rtol=1e-4)


def test_every_token_has_its_loss_its_rank_and_the_gradient_of_it_alone(browser, url, seen):
    browser.open(url, "view=tokens&pos=7")
    logits, w = seen.activations["logits"][0], window()
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    rows = browser.table("loss")
    np.testing.assert_allclose(numbers(rows, 3), -logs[np.arange(T), w.targets], rtol=ROUNDED)
    assert numbers(rows, 5).tolist() == [1 + (logs[i] > logs[i, t]).sum()
                                         for i, t in enumerate(w.targets)]
    alone = np.where(np.arange(T) == 7, w.targets, -100)
    path = trace(subject().params, w.ids[None], alone[None], CONFIG)
    for name, number in browser.table("path"):
        assert number == pytest.approx(np.linalg.norm(path.dactivations[name]), rel=ROUNDED)
    reached = browser.table("path-map")
    for name, *row in reached:
        wanted = np.sqrt(np.square(path.dactivations[name][0]).mean(-1))
        np.testing.assert_allclose(np.array(row, float), wanted, rtol=ROUNDED, atol=1e-12)


def test_generation_shows_what_sampling_cuts_and_a_colder_temperature_too(browser, url, tiny):
    browser.open(url, "view=generation")
    step, settings = tiny["generation"]["steps"][0], tiny["generation"]["settings"]
    logits = trace(subject().params, window().ids[None], window().targets[None],
                   CONFIG).activations["logits"][0, -1]
    own = np.exp(logits) / np.exp(logits).sum()
    cut = Sampling(settings["temperature"], settings["top_k"], settings["top_p"])
    rows = browser.table("generation-candidates")
    ids = [candidate["id"] for candidate in step["candidates"]]
    np.testing.assert_allclose(numbers(rows, 2), own[ids], rtol=ROUNDED)
    np.testing.assert_allclose(numbers(rows, 4), cut.distribution(logits)[ids], rtol=ROUNDED)
    browser.js("""const slider = document.querySelector("[aria-label=temperature]");
                  slider.value = 4; slider.dispatchEvent(new Event("input"));""")
    temperature = tiny["generation"]["temperatures"][4]
    warm = np.exp(logits / temperature - (logits / temperature).max())
    np.testing.assert_allclose(numbers(browser.table("generation-candidates"), 3),
                               (warm / warm.sum())[ids], rtol=ROUNDED, atol=1e-6)


def test_parameters_have_their_sizes_and_the_ratio_of_their_update(browser, url, seen, tiny):
    browser.open(url, "view=parameters&param=h.1.mlp.c_fc.weight")
    params = subject().params
    for name, _, weight, gradient, update, ratio, zeros in browser.table("ratios"):
        assert weight == pytest.approx(rms(params[name]), rel=ROUNDED)
        assert gradient == pytest.approx(rms(seen.grads[name]), rel=ROUNDED)
        assert ratio == pytest.approx(update / weight, rel=2 * ROUNDED)
        assert zeros == (seen.grads[name] == 0).sum()
    weight = params["h.1.mlp.c_fc.weight"]
    rows = browser.table("norms-rows")
    np.testing.assert_allclose(numbers(rows, 1), np.linalg.norm(weight, axis=1), rtol=ROUNDED)
    bins = browser.table("histogram-weight")
    assert numbers(bins, 2).tolist() == np.histogram(weight, 40)[0].tolist()


def test_two_traces_stand_side_by_side(browser, url):
    browser.open(url, "view=compare")
    w = window()
    sides = [trace(subject(seed=s).params, w.ids[None], w.targets[None], CONFIG) for s in (1, 0)]
    for name, before, now, ratio in browser.table("compare-flow"):
        sizes = [rms(side.dactivations[name]) for side in sides]
        assert [before, now] == pytest.approx(sizes, rel=ROUNDED)
        assert ratio == pytest.approx(sizes[1] / sizes[0], rel=ROUNDED)


def test_an_exact_page_has_all_digits(browser, seen):
    found, _ = payload(subject(), window(), exact=True)
    browser.open(browser.write("exact", found), "view=tensor&entry=h.2.ln_2")
    got = np.array([row[1:] for row in browser.table("tensor-gradient")], float)
    np.testing.assert_allclose(got, seen.dactivations["h.2.ln_2"][0], rtol=1e-14)
    readout = browser.js("return document.querySelector('[data-figure=tensor-value] .readout')"
                         ".textContent").replace("−", "-").split()
    assert float(readout[4]) == seen.activations["h.2.ln_2"][0, 0, 0], readout


def test_a_failed_gradient_check_is_drawn_with_its_worst_element(browser, tiny):
    rng = np.random.default_rng(3)
    expected = rng.standard_normal((2, 3, 4))
    got = expected.copy()
    got[1, 2, 3] += 0.5
    check = {"function": "my_backward", "input": "x", "sentence": "One element is off.",
             "shape": [2, 3, 4], "expected": encoded(expected), "got": encoded(got),
             "difference": encoded(got - expected),
             "worst": {"index": [1, 2, 3], "expected": expected[1, 2, 3], "got": got[1, 2, 3],
                       "difference": 0.5}}
    browser.open(browser.write("check", tiny | {"check": check}), "view=check")
    for which, array in (("expected", expected), ("got", got), ("difference", got - expected)):
        rows = np.array([row[1:] for row in browser.table(f"check-{which}")], float)
        np.testing.assert_allclose(rows, array.reshape(6, 4), rtol=ROUNDED)
    text = browser.js("return document.querySelector('#view-check .caption').textContent")
    assert "1 of 24 elements differ, most at [1, 2, 3]" in text
    assert browser.js("return document.querySelector('[data-figure=check-got] .readout')"
                      ".textContent").startswith("x[1, 2, 3]: expected ")
