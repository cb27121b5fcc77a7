# SPDX-License-Identifier: MIT
"""Pictures are checked for what they say: order, colours, values, and texts that do not collide."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from pyvae import plots
from pyvae.plots import style
from pyvae.plots._examples import tile
from pyvae.plots._matching import match

from .conftest import overlaps, png, texts

XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
DEFICIENCIES = (
    np.eye(3),
    (0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998),
    (0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881),
    (1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900),
)


def rows(epochs: int, **changes) -> list[dict]:
    return [
        dict(
            epoch=e, bound=-30 + e, reconstruction=-20 + e, log_prob_w=-5.0, neg_kl_z=-1.0,
            entropy_w=2.0, beta=min(1.0, e / 3), effective_components=8.0, active_units=4,
            posterior_entropy=0.3, **changes,
        )
        for e in range(1, epochs + 1)
    ]  # fmt: skip


def test_pictures_need_no_pyplot():
    code = "import sys, pyvae.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("epochs", [1, 2, 3, 40])
def test_history_draws_every_part_of_every_length(epochs):
    figure = plots.history(rows(epochs, val_bound=-31.0))
    assert {"training", "validation", "entropy of q(w|x)", "their sum"} <= set(texts(figure))
    assert not overlaps(figure)


@pytest.mark.parametrize("least", [0.0, 1e-22, 1e-7])
def test_history_makes_no_scale_for_rounding(least):
    """Of clusters far apart the entropy of q(z) is nothing, and a bound may stand still."""
    settled = [
        dict(row, posterior_entropy=least * e, bound=-30.0 - least * e, reconstruction=-20.0)
        for e, row in enumerate(rows(40))
    ]
    figure = plots.history(settled)
    assert not overlaps(figure)
    assert not any("e−" in text or "e-" in text for text in texts(figure))


def test_history_leaves_out_what_was_not_measured():
    bare = [{"epoch": 1, "bound": -3.0, "val_bound": None}, {"epoch": 2, "bound": float("nan")}]
    figure = plots.history(bare)
    assert "validation" not in texts(figure)
    assert png(figure)


def test_history_says_what_it_cuts_off():
    first = [dict(rows(1)[0], epoch=0, bound=-9876.0)]
    figure = plots.history(first + rows(30))
    assert "goes on to −9,876.0" in texts(figure)
    low, high = figure.axes[0].get_ylim()
    assert low > -100
    assert high < 10


def test_history_marks_pretraining_and_warmup():
    pretrained = [dict(row, phase="pretrain", beta=0.05) for row in rows(4)]
    joint = [dict(row, phase="joint", epoch=4 + row["epoch"]) for row in rows(9)]
    said = " ".join(texts(plots.history(pretrained + joint)))
    assert "Grey: pretraining. Hatched: warm-up of β." in said
    said = " ".join(texts(plots.history(joint[3:])))
    assert "warm-up" not in said
    assert "pretraining" not in said


def test_history_shows_components_only_where_there_is_a_mixture():
    pretrained = [dict(row, phase="pretrain") for row in rows(4)]
    line = plots.history(pretrained + rows(9)).axes[3].lines[0]
    assert np.isnan(np.asarray(line.get_ydata(), dtype=float)).sum() == 4


def test_history_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one row"):
        plots.history([])


@pytest.mark.parametrize("latent_dim", [1, 2, 10])
@pytest.mark.parametrize("num_components", [1, 10, 50])
def test_latent_space_numbers_do_not_overlap(rng, latent_dim, num_components):
    means = 4 * rng.normal(size=(num_components, latent_dim))
    z = rng.integers(0, num_components, 600)
    w = means[z] + rng.normal(size=(600, latent_dim))
    figure = plots.latent_space(w, z, z % 7, means=means, logvars=np.zeros((num_components, 1)))
    assert len(figure.axes) == 2
    # fifty in one dimension is more than the room there is
    assert latent_dim == 1 or not overlaps(figure)


def test_latent_space_gives_matched_component_and_label_one_colour(rng):
    labels = np.repeat([0, 1, 2], 50)
    components = np.array([2, 0, 1])[labels]
    w = 9.0 * np.eye(3)[labels][:, :2] + rng.normal(size=(150, 2))
    left, right = plots.latent_space(w, components, labels).axes
    tints = [
        {tuple(c.get_offsets()[0]): tuple(c.get_facecolor()[0]) for c in axes.collections}
        for axes in (left, right)
    ]
    assert tints[0] == tints[1]
    assert len(set(tints[0].values())) == 3


def test_latent_space_crosses_examples_of_another_label(rng):
    labels = np.repeat(["a", "b", "c"], 20)
    components = np.repeat([2, 0, 1], 20)
    components[:3] = 0  # whose label is b
    left, right = plots.latent_space(rng.normal(size=(60, 2)), components, labels).axes
    crosses = [c for c in left.collections if len(c.get_paths()[0].vertices) == 4]
    assert [len(c.get_offsets()) for c in crosses] == [3]
    assert sum(len(c.get_offsets()) for c in left.collections) == 60
    assert len(right.collections) == 3


def test_only_components_that_hold_points_have_a_contour(rng):
    means = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
    figure = plots.latent_space(
        rng.normal(size=(50, 2)), np.zeros(50, int), means=means, logvars=np.zeros((3, 1))
    )
    (ellipse,) = figure.axes[0].patches
    assert tuple(ellipse.center) == (0.0, 0.0)
    assert ellipse.get_zorder() < min(c.get_zorder() for c in figure.axes[0].collections)


def test_two_latent_dimensions_are_drawn_as_they_are(rng):
    w = rng.normal(size=(40, 2))
    (axes,) = plots.latent_space(w).axes
    np.testing.assert_allclose(axes.collections[0].get_offsets(), w)
    assert axes.get_xlabel() == "w₁"


def test_contours_are_those_of_the_projected_component(rng):
    """The variance of points drawn from a component, in the plane, is the ellipse's."""
    w = rng.normal(size=(500, 5)) * [5, 4, 1, 0.5, 0.1]
    mean, logvar = rng.normal(size=(1, 5)), rng.normal(size=(1, 5))
    (axes,) = plots.latent_space(w, np.zeros(500, int), means=mean, logvars=logvar).axes
    (ellipse,) = axes.patches
    basis = np.linalg.svd(w - w.mean(0), full_matrices=False)[2][:2]
    expected = np.linalg.eigvalsh(basis @ np.diag(np.exp(logvar[0])) @ basis.T)
    np.testing.assert_allclose(sorted([ellipse.width, ellipse.height]), 2 * np.sqrt(expected))
    np.testing.assert_allclose(ellipse.center, basis @ (mean[0] - w.mean(0)))


def test_components_that_hold_nothing_do_not_stretch_the_frame(rng):
    means = np.array([[0.0, 0.0], [1e4, 1e4]])
    figure = plots.latent_space(
        rng.normal(size=(50, 2)), np.zeros(50, int), means=means, logvars=np.zeros((2, 1))
    )
    assert figure.axes[0].get_xlim()[1] < 10


def test_contours_far_wider_than_the_frame_are_left_out(rng):
    """A dotted ellipse of a million pixels once kept matplotlib busy for ten minutes."""
    figure = plots.latent_space(
        rng.normal(size=(50, 2)), np.zeros(50, int), means=np.zeros((2, 2)),
        logvars=np.array([[0.0], [60.0]]),
    )  # fmt: skip
    assert len(figure.axes[0].patches) == 1
    assert png(figure)


def test_many_points_are_thinned_and_it_is_said(rng):
    figure = plots.latent_space(rng.normal(size=(7001, 2)))
    assert any("6,000 of 7,001 examples" in text.replace("\n", " ") for text in texts(figure))
    zeros = np.zeros(7001, int)
    many = plots.latent_space(
        rng.normal(size=(7001, 3)), zeros, zeros, means=np.zeros((1, 3)), logvars=np.zeros((1, 1))
    )
    assert not overlaps(many)
    assert len(figure.axes[0].collections[0].get_offsets()) == 6000


@pytest.mark.parametrize("count", [1, 2])
def test_a_point_or_two_can_be_drawn(count):
    zeros = np.zeros(count, int)
    for latent_dim in (1, 2, 5):
        assert png(plots.latent_space(np.ones((count, latent_dim)), zeros, zeros))


@pytest.mark.parametrize(
    ("w", "components", "message"),
    [
        (np.zeros(5), None, r"shape \(N, L\)"),
        (np.zeros((0, 2)), None, r"shape \(N, L\)"),
        (np.full((3, 2), np.nan), None, "finite"),
        (np.zeros((5, 2)), np.zeros(4, int), "for each of 5 points"),
        (np.zeros((5, 2)), np.zeros((5, 1), int), "one component and one label"),
    ],
)
def test_latent_space_rejects(w, components, message):
    with pytest.raises(ValueError, match=message):
        plots.latent_space(w, components)


def test_tile_keeps_every_pixel(rng):
    images = rng.uniform(size=(5, 8, 6))
    mosaic = tile(images, 3)
    assert mosaic.shape == (2 * 9 - 1, 3 * 7 - 1)
    for i, image in enumerate(images):
        top, left = i // 3 * 9, i % 3 * 7
        np.testing.assert_array_equal(mosaic[top : top + 8, left : left + 6], image)
    assert np.isnan(mosaic).sum() == mosaic.size - images.size


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (4, 16)])
@pytest.mark.parametrize("count", [1, 5, 30])
def test_reconstructions_pair_images(rng, shape, count):
    x = rng.uniform(size=(count, shape[0] * shape[1]))
    figure = plots.reconstructions(x, 0.5 * x, shape)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(shown[: shape[0], : shape[1]], x[0].reshape(shape))
    below = shape[0] + max(1, round(max(shape) / 14))
    np.testing.assert_allclose(
        shown[below : below + shape[0], : shape[1]], 0.5 * x[0].reshape(shape)
    )
    assert png(figure)


def test_reconstructions_reject_other_shapes():
    with pytest.raises(ValueError, match=r"\(3, 4\) and \(3, 5\)"):
        plots.reconstructions(np.zeros((3, 4)), np.zeros((3, 5)))
    with pytest.raises(ValueError, match="needs 64 features, got 63"):
        plots.reconstructions(np.zeros((3, 63)), np.zeros((3, 63)), (8, 8))


@pytest.mark.parametrize("image_shape", [(8, 8), None])
@pytest.mark.parametrize("num_components", [1, 10, 50])
def test_component_samples(rng, image_shape, num_components):
    samples = rng.uniform(size=(num_components, 9, 64))
    shares = np.full(num_components, 1 / num_components)
    figure = plots.component_samples(samples, image_shape, means=samples[:, 0], shares=shares)
    named = sum(text.split()[:1] == [str(k)] for k in range(50) for text in texts(figure))
    assert num_components == 1 or named >= num_components
    assert not overlaps(figure)


def test_component_samples_row_holds_that_components_samples(rng):
    samples = rng.uniform(size=(3, 4, 64))
    figure = plots.component_samples(samples, (8, 8))
    shown = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(shown[18:26, 9:17], samples[2, 1].reshape(8, 8))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_have_channels(rng, channels):
    shape = (channels, 6, 5)
    x = rng.uniform(-0.5, 1.5, size=(3, 4, 6 * 5 * channels))
    rows = plots.component_samples(x, shape, means=x[:, 0])
    for figure in (rows, plots.reconstructions(x[0], x[0], shape)):
        shown = np.asarray(figure.axes[0].images[0].get_array())
        first = np.clip(np.moveaxis(x[0, 0].reshape(shape), 0, -1), 0, 1)
        np.testing.assert_allclose(shown[:6, :5].reshape(6, 5, channels), first)
    assert png(figure)


@pytest.mark.parametrize("shape", [(30,), (5, 3, 2), (1, 5, 3, 2)])
def test_other_shapes_are_no_images(shape):
    with pytest.raises(ValueError, match=r"expected \(height, width\), or \(channels, height"):
        plots.reconstructions(np.zeros((2, 30)), np.zeros((2, 30)), shape)


def test_component_samples_reject():
    with pytest.raises(ValueError, match="none of them 0"):
        plots.component_samples(np.zeros((3, 0, 64)))


def test_confusion_orders_columns_by_the_matching():
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    components = np.array([4, 4, 1, 0, 0, 0, 1, 1, 1, 2])
    found = match(components, labels, 6)
    assert found.partner == {4: 0, 0: 1, 1: 2}
    assert found.order.tolist() == [4, 0, 1, 2, 3, 5]
    figure = plots.confusion(components, labels, num_components=6)
    assert "Components and labels: clustering accuracy 0.800" in texts(figure)
    named = plots.confusion(components, labels, class_names=["oak", "ash", "elm"])
    assert {"oak", "ash", "elm"} <= {t.get_text() for t in named.axes[0].get_yticklabels()}
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["4", "0", "1", "2", "3", "5"]


@pytest.mark.parametrize("num_components", [1, 10, 24, 50])
@pytest.mark.parametrize("num_labels", [1, 10, 26])
def test_confusion_texts_do_not_overlap(rng, num_components, num_labels):
    components = rng.integers(0, num_components, 3000)
    labels = rng.integers(0, num_labels, 3000)
    assert not overlaps(plots.confusion(components, labels))


def test_confusion_rejects_other_lengths():
    with pytest.raises(ValueError, match=r"\(3,\) and \(4,\)"):
        plots.confusion(np.zeros(3, int), np.zeros(4, int))


def test_phases_of_training_differ_by_more_than_their_grey():
    pretrained = [dict(row, phase="pretrain", beta=0.05) for row in rows(4)]
    joint = [dict(row, phase="joint", epoch=4 + row["epoch"]) for row in rows(9)]
    shades = plots.history(pretrained + joint).axes[0].patches
    assert [bool(shade.get_hatch()) for shade in shades] == [False, True]


def test_hues_stay_apart_for_every_eye():
    """In CIELAB, under Machado et al. (2009)'s three deficiencies in full; 17 at Petroff's best."""
    rgb = np.array([to_rgb(c) for c in style.PALETTE])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    for seen in DEFICIENCIES:
        xyz = np.clip(linear @ np.reshape(seen, (3, 3)).T, 0, 1) @ XYZ.T / XYZ.sum(1)
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        lab = np.stack(
            [116 * f[:, 1] - 16, *(k * np.diff(f)[:, i] for i, k in ((0, -500), (1, -200)))], 1
        )
        apart = np.linalg.norm(lab[:, None] - lab, axis=-1) + 1e3 * np.eye(10)
        assert apart.min() > 18


def test_fifty_categories_have_fifty_colours():
    assert len({style.color(k) for k in range(50)}) == 50
    assert len({style.color(k) + style.marker(k) for k in range(60)}) == 60


def test_numbers_at_one_place_are_moved_apart():
    centres = style._push_apart(np.zeros((9, 2)), np.full((9, 2), 10.0))
    gap = np.abs(centres[:, None] - centres[None]).max(-1) + 1e9 * np.eye(9)
    assert gap.min() > 9.9


@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 4)])
@pytest.mark.parametrize("over", [1, 7, 60])
def test_merges_show_every_cluster_in_the_row_of_its_own(rng, over, shape):
    into = np.arange(over) % 4
    shares = np.full(over, 1.0 / over)
    images = rng.uniform(0.2, 0.8, (over, 3, np.prod(shape)))
    images[:, 2] = np.nan
    figure = plots.merges(images, into, shape, shares=shares)
    assert not overlaps(figure)
    rows = [name for name in texts(figure) if "%" in name and "share" not in name]
    assert len(rows) == min(over, 4)
    drawn = figure.axes[0].images[0].get_array()
    for each in images[:, 0]:
        first = np.moveaxis(each.reshape(shape), 0, -1)[0, 0] if len(shape) == 3 else each[0]
        assert np.isclose(drawn, first).any()


def test_merges_leave_out_what_holds_nothing(rng):
    images = rng.uniform(0.2, 0.8, (3, 2, 16))
    figure = plots.merges(images, np.array([0, 1, 1]), (4, 4), shares=np.array([0.5, 0.5, 0.0]))
    assert not np.isclose(figure.axes[0].images[0].get_array(), images[2, 0, 0]).any()
    for wrong in (
        {"images": images[0], "into": [0, 1, 1], "image_shape": (4, 4)},
        {"images": images, "into": [0, 1], "image_shape": (4, 4)},
        {"images": images, "into": [0, 1, 1], "image_shape": (4, 4), "shares": [1.0]},
        {"images": images, "into": [0, 1, 1], "image_shape": (4, 4), "shares": [0.0, 0.0, 0.0]},
        {"images": images, "into": [0, 1, 1], "image_shape": (5, 4)},
    ):
        with pytest.raises(ValueError, match=r"merges:|image_shape"):
            plots.merges(**wrong)
