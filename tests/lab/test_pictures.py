"""Pictures: there when there is something to show, on one scale, alike for like numbers."""

import xml.etree.ElementTree as ElementTree

import pytest

from npgpt.lab import pictures
from npgpt.lab.summary import summarise

from .conftest import results_of

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")
NATS = {"a": [[0.79, 0.7], [0.6, 0.5]], "b": [[0.1, "nan"], [0.2, 0.3]]}


@pytest.fixture
def given():
    return summarise(results_of({"a": [2.0, 2.1], "b": [1.9, 2.02]}, entropies=NATS))


def test_every_picture_is_drawn_and_drawn_alike_twice(given):
    drawn = pictures.draw_all(given)
    assert set(drawn) == {"perplexity", "heat-maps", "layer-means", "entropy", "loss", "difference"}
    for svg in drawn.values():
        assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert pictures.draw_all(given) == drawn


def test_heat_maps_have_one_scale_from_zero_to_the_bound(given):
    figure = pictures.heat_maps(given)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert [image.get_clim() for image in images] == [(0, 1), (0, 1)]
    assert "NaN" in [text.get_text() for text in figure.axes[1].texts]


@pytest.mark.parametrize("draw", [pictures.entropy_over_training, pictures.layer_means])
def test_panels_of_entropy_share_their_axis(given, draw):
    shown = [axes for axes in draw(given).axes if axes.get_visible()]
    assert {axes.get_ylim() for axes in shown} == {(0, 1.02)}


def test_without_entropy_and_without_runs_there_is_less_to_draw():
    results = results_of({"a": [2.0, 2.1], "b": [1.9, 2.02]})
    assert set(pictures.draw_all(summarise(results))) == {
        "perplexity", "loss", "difference"}
    nothing = results_of({"a": [2.0], "b": [2.0]}, diverged={("a", 1), ("b", 1)})
    assert pictures.draw_all(summarise(nothing)) == {}


def test_one_far_arm_does_not_press_the_others_together():
    results = results_of({"a": [2.0], "b": [2.01], "c": [5.0]})
    axes = pictures.perplexity(summarise(results)).axes[0]
    assert axes.get_xlim()[1] < 10
    assert any("148" in text.get_text() for text in axes.texts)


def test_many_arms_and_many_layers_can_be_told_apart():
    many = {f"arm {n}": [2.0 + n / 10, 2.1] for n in range(9)} | {"b": [1.0, 1.1], "a": [1.0, 1.2]}
    deep = {name: [[0.5] * 3] * 12 for name in many}
    results = results_of(many, entropies=deep)
    drawn = pictures.loss_curves(summarise(results))
    assert all(len(axes.lines) <= 5 for axes in drawn.axes)
    assert len({axes.get_ylim() for axes in drawn.axes}) == 1
    assert pictures.entropy_over_training(summarise(results)) is not None
