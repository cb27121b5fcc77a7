# SPDX-License-Identifier: MIT
"""Pictures are checked for what they say: order, colours, values, and texts that do not collide."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import matplotlib.text
import numpy as np
import pytest

from pyvae import plots
from pyvae.plots import style
from pyvae.plots._examples import tile
from pyvae.plots._matching import match

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue()


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def shown_texts(figure: Figure) -> list[matplotlib.text.Text]:
    """Every text that is drawn; matplotlib also keeps tick labels beyond the axes' ends."""
    hidden: set[matplotlib.text.Text] = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks() + axis.get_minor_ticks():
            off = not low <= tick.get_loc() <= high or not axis.axes.axison
            hidden |= {tick.label1, tick.label2} if off else set()
    everything = figure.findobj(matplotlib.text.Text)
    return [t for t in everything if t.get_visible() and t.get_text().strip() and t not in hidden]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of visible texts whose boxes share more than a tenth of the smaller one.

    A text that leaves the picture is paired with its edge.
    """
    figure.draw_without_rendering()
    found = shown_texts(figure)
    boxes = np.array([text.get_window_extent().extents for text in found])
    edge = np.array(figure.bbox.extents)
    beyond = (boxes[:, :2] < edge[:2] - 1).any(1) | (boxes[:, 2:] > edge[2:] + 1).any(1)
    if beyond.any():
        return [(found[i].get_text(), "edge") for i in np.flatnonzero(beyond)]
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    hit = np.triu(shared > 0.1 * np.minimum(sizes[:, None], sizes[None]), 1)
    return [(found[i].get_text(), found[j].get_text()) for i, j in np.argwhere(hit)]


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
    assert "Grey: pretraining. Light grey: warm-up of β." in said
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
    np.testing.assert_allclose(sorted([ellipse.width, ellipse.height]), 4 * np.sqrt(expected))
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


@pytest.mark.parametrize("features", [1, 13, 200])
@pytest.mark.parametrize("count", [1, 50])
def test_reconstructions_of_other_data(rng, features, count):
    x = rng.normal(size=(count, features)) * 10.0 ** np.arange(features).clip(max=4)
    figure = plots.reconstructions(x, x + 0.01)
    assert "reconstruction" in texts(figure)
    assert not overlaps(figure)


def test_reconstructions_state_the_variance_explained(rng):
    x = rng.normal(size=(100, 4))
    said = " ".join(texts(plots.reconstructions(x, np.tile(x.mean(0), (100, 1)))))
    assert "Variance explained: 0%" in said
    assert "Variance explained: 100%" in " ".join(texts(plots.reconstructions(x, x)))


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


def test_fifty_categories_have_fifty_colours():
    assert len({style.color(k) for k in range(50)}) == 50
    assert len({style.color(k) + style.marker(k) for k in range(60)}) == 60


def test_numbers_at_one_place_are_moved_apart():
    centres = style._push_apart(np.zeros((9, 2)), np.full((9, 2), 10.0))
    gap = np.abs(centres[:, None] - centres[None]).max(-1) + 1e9 * np.eye(9)
    assert gap.min() > 9.9
