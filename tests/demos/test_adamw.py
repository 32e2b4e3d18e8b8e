"""The three paths against the update rules written out in plain numbers."""

import math

import numpy as np
import pytest

from npgpt.demos.adamw import (
    CORRECTED,
    DESCENT,
    PLAIN,
    START,
    adamw_demo,
    adamw_picture,
    adamw_text,
)


def walk(steps, lr, betas, steepness, corrected):
    (x, y), (b1, b2) = START, betas
    path, moments = [START], [[0.0, 0.0], [0.0, 0.0]]
    for step in range(1, steps + 1):
        point = []
        for value, slope, mv in zip((x, y), (1.0, steepness), moments):
            g = slope * value
            mv[:] = b1 * mv[0] + (1 - b1) * g, b2 * mv[1] + (1 - b2) * g * g
            m, v = mv
            if corrected:
                m, v = m / (1 - b1**step), v / (1 - b2**step)
            point.append(value - lr * m / (math.sqrt(v) + 1e-8))
        x, y = point
        path.append((x, y))
    return path


@pytest.mark.parametrize("name, corrected", [(CORRECTED, True), (PLAIN, False)])
def test_the_paths_are_adamws_with_and_without_correction(name, corrected):
    shown = adamw_demo(12, 0.15, (0.8, 0.95), 30.0)
    expected = walk(12, 0.15, (0.8, 0.95), 30.0, corrected)
    np.testing.assert_allclose(shown.paths[name], expected, rtol=1e-12)


def test_gradient_descent_and_the_heights_are_the_valleys():
    shown = adamw_demo(9, steepness=20.0)
    n = np.arange(10)
    path = np.stack([START[0] * (1 - shown.descent_lr) ** n,
                     START[1] * (1 - 20 * shown.descent_lr) ** n], axis=1)
    np.testing.assert_allclose(shown.paths[DESCENT], path, rtol=1e-12)
    np.testing.assert_allclose(shown.losses[DESCENT], (path[:, 0]**2 + 20 * path[:, 1]**2) / 2)


def test_the_first_step_is_lr_with_correction_and_3_16_times_lr_without():
    shown = adamw_demo(3, 0.1)
    for name, size in ((CORRECTED, 0.1), (PLAIN, 0.1 * 0.1 / math.sqrt(0.001))):
        np.testing.assert_allclose(np.abs(shown.paths[name][1] - shown.paths[name][0]), size,
                                   rtol=1e-6)
    assert "3.16 times lr" in " ".join(adamw_text(shown).split())


@pytest.mark.parametrize("settings", [{"steps": 1}, {"lr": 1e-9}, {"lr": 1e6}, {"steps": 300},
                                      {"betas": (0.0, 0.0)}, {"steepness": 1.0}])
def test_any_walk_fits_80_columns(settings):
    assert max(map(len, adamw_text(adamw_demo(**settings)).splitlines())) <= 80


@pytest.mark.parametrize("settings", [{"steps": 1}, {"lr": 1e6}])
def test_any_walk_can_be_drawn(settings, tmp_path):
    shown = adamw_demo(**settings)
    pytest.importorskip("matplotlib")
    from npgpt.display.drawing import save

    save(adamw_picture(shown), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("settings, says", [
    ({"steps": 0}, "steps=0"), ({"lr": 0.0}, "lr=0"), ({"steepness": -1.0}, "steepness=-1"),
    ({"betas": (0.9, 1.0)}, "two betas"), ({"lr": math.nan}, "lr"),
])
def test_a_wrong_setting_is_named(settings, says):
    with pytest.raises(ValueError, match=says):
        adamw_demo(**settings)
