"""The cells that are removed as one, worked by hand, and imputation against an independent solution of its system."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import diags, lil_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor

from bench.core.errors import BenchError
from bench.perturbation.imputation import impute
from bench.perturbation.partition import Partition, partition

SHAPES = {"signal": (1, 40), "grey": (1, 24, 30), "rgb": (3, 24, 30)}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
every_channels = pytest.mark.parametrize("channels", [1, 3], ids=["grey", "rgb"])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blotches(samples: int, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Smooth random inputs (N, C, *S) with values in [0, 1]: noise on a grid six times as coarse, interpolated."""
    coarse = torch.rand(samples, shape[0], *(-(-length // 6) for length in shape[1:]), generator=seeded(seed))
    mode = "linear" if len(shape) == 2 else "bilinear"
    return torch.nn.functional.interpolate(coarse, size=shape[1:], mode=mode)


def labels_of(name: str, shape: tuple[int, ...]) -> list:
    labels = partition(name, torch.zeros(2, *shape)).labels
    assert labels is not None
    return labels.tolist()


# --- partitions ---------------------------------------------------------------------------------------------------------


@every_shape
def test_each_pixel_is_a_cell_of_its_own_whatever_the_channels(shape):
    cells = partition("pixel", torch.zeros(2, *shape))
    places = int(np.prod(shape[1:]))
    assert (cells.name, cells.number, cells.most, cells.counts.tolist()) == ("pixel", places, places, [places])
    assert cells.labels is None


@every_channels
def test_a_patch_grid_by_hand_with_smaller_patches_at_the_edges(channels):
    # 5 x 7 places: size 2 makes 3 x 4 = 12 patches, size 3 makes 2 x 3 = 6
    top, bottom = [0, 0, 0, 1, 1, 1, 2], [3, 3, 3, 4, 4, 4, 5]
    assert labels_of("patch6", (channels, 5, 7)) == [[top, top, top, bottom, bottom]]
    assert labels_of("patch11", (channels, 5, 7)) == [[top, top, top, bottom, bottom]]
    cells = partition("patch6", torch.zeros(2, channels, 5, 7))
    assert (cells.number, cells.most, cells.counts.tolist()) == (6, 6, [6])


def test_patches_of_a_signal_are_windows_and_the_last_may_be_shorter():
    assert labels_of("patch4", (1, 11)) == [[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3]]
    assert labels_of("patch4", (1, 10)) == [
        [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    ]  # two alike rather than four with a smaller one
    assert labels_of("patch8", (1, 9)) == [[0, 0, 0, 1, 1, 1, 2, 2, 2]]  # three alike are more than a quarter of eight
    assert labels_of("patch5", (1, 10)) == [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]]
    assert labels_of("patch1", (1, 3)) == [[0, 0, 0]]


def test_patch64_on_40_points_is_pixels():
    cells = partition("patch64", torch.zeros(2, 1, 40))
    assert (cells.name, cells.number, cells.labels) == ("pixel", 40, None)
    assert partition("patch40", torch.zeros(2, 1, 40)).name == "pixel"
    assert partition("patch39", torch.zeros(2, 1, 40)).counts.tolist() == [20]  # windows of two


@pytest.mark.parametrize("name", ["patch", "patch0", "segment07", "pixels", "Pixel", "patch-4", ""])
def test_a_name_of_no_partition_is_an_error_that_lists_them(name):
    with pytest.raises(
        BenchError, match=rf"unknown features .{name}. \(allowed: pixel, patchN, segmentN; for example patch64\)"
    ):
        partition(name, torch.zeros(1, 1, 4))


@every_shape
def test_segments_cover_everything_and_are_numbered_without_gaps(shape):
    inputs = blotches(3, shape)
    cells = partition("segment12", inputs)
    assert cells.labels is not None
    assert cells.labels.shape == (3, *shape[1:])
    for labels, count in zip(cells.labels, cells.counts.tolist(), strict=True):
        assert labels.unique().tolist() == list(range(count))
        assert 4 <= count <= 24  # SLIC does not promise the number asked for, only about as many
    assert (cells.number, cells.most) == (12, cells.counts.max())


@every_shape
def test_segments_of_a_sample_do_not_depend_on_its_company(shape):
    inputs = blotches(4, shape)
    together = partition("segment12", inputs)
    for row in range(4):
        alone, taken = partition("segment12", inputs[[row]]), together.take(torch.tensor([row]))
        for cells in (alone, taken):
            assert torch.equal(cells.labels, together.labels[[row]])
            assert cells.counts.tolist() == [cells.most] == [together.counts[row]]


def test_segments_follow_an_edge_and_not_the_scale_of_the_values():
    step = torch.zeros(1, 1, 20)
    step[..., 13:] = 1
    labels = partition("segment2", step).labels
    assert labels.tolist() == [[0] * 13 + [1] * 7]
    assert torch.equal(partition("segment2", 1000 * step - 7).labels, labels)


SIZES_OF_SEGMENTS = {
    1: [97, 109, 43, 52, 43, 41, 45, 45, 82, 58, 75, 30],
    3: [147, 140, 78, 49, 156, 150],
}


@every_channels
def test_segments_weigh_distance_against_colour(channels):
    """By another weight the segments of these waves would have other sizes."""
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(30.0), indexing="ij")
    waves = [0.5 + 0.25 * torch.sin(0.7 * x + shift) + 0.25 * torch.cos(0.5 * y - shift) for shift in range(channels)]
    labels = partition("segment12", torch.stack(waves)[None]).labels
    assert labels is not None
    assert torch.bincount(labels.flatten()).tolist() == SIZES_OF_SEGMENTS[channels]


def test_taking_rows_of_a_partition_that_all_share_changes_nothing():
    cells = partition("patch6", torch.zeros(3, 1, 5, 7))
    assert cells.take(torch.tensor([2, 0])) is cells


# --- sums and order -----------------------------------------------------------------------------------------------------


def ragged() -> Partition:
    """Three cells in the first sample, two in the second."""
    return Partition("segment3", 3, 3, False, torch.tensor([3, 2]), torch.tensor([[0, 0, 1, 2], [1, 0, 0, 0]]))


def test_sums_and_spread_by_hand():
    maps = torch.tensor([[1.0, 2.0, 4.0, 8.0], [1.0, 2.0, 4.0, 8.0]])
    assert ragged().sums(maps).tolist() == [[3, 4, 8], [14, 1, 0]]
    values = torch.tensor([[5, 6, 7], [8, 9, -1]])
    assert ragged().spread(values).tolist() == [[5, 5, 6, 7], [9, 8, 8, 8]]


def test_sums_of_a_shared_partition_and_of_pixels():
    cells = partition("patch3", torch.zeros(2, 1, 5))  # windows 0 0 1 1 2
    maps = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0], [0.0, 1.0, 0.0, -3.0, 5.0]])
    assert cells.sums(maps).tolist() == [[3, 12, 16], [1, -3, 5]]
    assert cells.spread(torch.tensor([[7, 8, 9], [1, 2, 3]])).tolist() == [[7, 7, 8, 8, 9], [1, 1, 2, 2, 3]]
    assert partition("pixel", torch.zeros(2, 1, 5)).sums(maps).tolist() == maps.tolist()


def test_the_mean_and_not_the_sum_decides_the_order():
    cells = partition("patch3", torch.zeros(1, 1, 5))
    # sums 6, 2, 4 but means 3, 1, 4
    assert cells.order(torch.tensor([[3.0, 3.0, 1.0, 1.0, 4.0]])).tolist() == [[1, 1, 2, 2, 0]]


def test_a_tie_goes_to_the_cell_of_lower_index():
    cells = partition("patch3", torch.zeros(1, 1, 5))
    # means 0.1, 0.2, 0.1: the last cell is smaller, and means of float32 values are compared without its rounding
    assert cells.order(torch.tensor([[0.1, 0.1, 0.3, 0.1, 0.1]])).tolist() == [[1, 1, 0, 0, 2]]
    assert partition("pixel", torch.zeros(1, 1, 3)).order(torch.tensor([[2.0, 5.0, 2.0]])).tolist() == [[1, 0, 2]]


def test_cells_that_a_sample_lacks_come_last_even_after_negative_ones():
    maps = torch.tensor([[-1.0, -1.0, -9.0, -2.0], [-5.0, -6.0, -6.0, -6.0]])
    assert ragged().order(maps).tolist() == [[0, 0, 2, 1], [0, 1, 1, 1]]


# --- imputation ---------------------------------------------------------------------------------------------------------


def solved(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The system of the ROAD paper written out: removed place = mean of its neighbours, beside 1/6, diagonally 1/12."""
    height, width = known.shape
    weights = lil_matrix((known.size, known.size))
    for y, x in np.argwhere(~known):
        for down, across in ((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b):
            if 0 <= y + down < height and 0 <= x + across < width:
                weights[y * width + x, (y + down) * width + x + across] = 1 / 12 if down and across else 1 / 6
    total = np.asarray(weights.sum(1)).ravel() + known.ravel()
    right = np.where(known, image, 0).ravel()
    return spsolve((diags(total) - weights).tocsc(), right).reshape(known.shape)


def mask(kind: str, shape: tuple[int, int]) -> Tensor:
    """(1, H, W) which places are known."""
    if kind == "blobs":
        return blotches(1, (1, *shape), seed=5)[:, 0] < 0.55
    return torch.rand(1, *shape, generator=seeded(6)) < {"scattered": 0.5, "90 %": 0.1}[kind]


@pytest.mark.parametrize("kind", ["scattered", "blobs", "90 %"])
@pytest.mark.parametrize("size", [(36, 36), (37, 50), (24, 25)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("texture", ["smooth", "noise"])
def test_imputation_on_images_solves_the_linear_system(kind, size, texture):
    channels = 2 if texture == "smooth" else 1
    images = blotches(1, (channels, *size)) if texture == "smooth" else torch.rand(1, 1, *size, generator=seeded(1))
    known = mask(kind, size)
    assert 0.05 < known.float().mean() < 0.95  # else there is nothing to solve
    gaps = [
        (found.numpy() - solved(image.numpy(), known[0].numpy()))[~known[0].numpy()]
        for found, image in zip(impute(images, known)[0], images[0], strict=True)
    ]
    # A fixed number of iterations leaves a little; the noise that ROAD adds is 1e-2.
    assert np.abs(gaps).max() < 0.02
    assert np.sqrt(np.square(gaps).mean()) < 2e-3


def test_imputation_on_signals_is_linear_interpolation():
    signals = torch.randn(5, 2, 40, generator=seeded(0))
    known = torch.rand(5, 40, generator=seeded(1)) < torch.tensor([0.9, 0.5, 0.2, 0.1, 0.05])[:, None]
    known[4] = torch.arange(40) == 17  # a single one
    found, places = impute(signals, known), np.arange(40)
    for row, keep in enumerate(known.numpy()):
        for channel, signal in enumerate(signals[row].numpy()):
            expected = np.interp(places, places[keep], signal[keep])
            np.testing.assert_allclose(found[row, channel], expected, atol=1e-6)  # float32 rounding


@every_shape
def test_known_places_are_left_as_they_are(shape):
    inputs = torch.randn(3, *shape, generator=seeded(0))
    known = torch.rand(3, *shape[1:], generator=seeded(1)) < torch.tensor([0.2, 0.6, 1.1]).view(
        3, *[1] * len(shape[1:])
    )
    kept = known.unsqueeze(1).expand_as(inputs)
    found = impute(inputs, known)
    assert torch.equal(found[kept], inputs[kept])
    assert torch.equal(found[2], inputs[2])  # all of it is known


@every_shape
def test_what_is_imputed_in_a_sample_does_not_depend_on_its_batch(shape):
    inputs = blotches(4, shape)
    shares = torch.tensor([0.1, 0.5, 0.9, 0.0]).view(4, *[1] * len(shape[1:]))
    known = torch.rand(4, *shape[1:], generator=seeded(1)) < shares
    together = impute(inputs, known)
    for row in range(4):
        torch.testing.assert_close(impute(inputs[[row]], known[[row]]), together[[row]], rtol=0, atol=1e-6)


@every_shape
def test_where_nothing_is_known_the_input_becomes_zero(shape):
    inputs = torch.rand(2, *shape, generator=seeded(0)) + 1
    assert torch.equal(impute(inputs, torch.zeros(2, *shape[1:], dtype=torch.bool)), torch.zeros(2, *shape))


@every_shape
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_a_constant_input_stays_constant(shape, share):
    inputs = torch.tensor([0.25, -3.0, 100.0]).view(3, *[1] * len(shape)).expand(3, *shape)
    known = torch.rand(3, *shape[1:], generator=seeded(1)) < share
    known.flatten(1)[:, 5] = True
    torch.testing.assert_close(impute(inputs, known), inputs, rtol=1e-5, atol=0)  # float32 rounding


def test_a_straight_curve_over_segments_has_half_the_area_whatever_their_number():
    from conftest import with_targets

    from bench.core.problem import Problem
    from bench.perturbation.masking import area
    from bench.perturbation.ordering import at_even_shares
    from bench.perturbation.probe import Probe

    inputs = torch.rand(6, 1, 14, 14, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(196, 2)).eval()
    problem = Problem(model, inputs, tuple("abcdef"), torch.zeros(1, 1, 1), (), 0.3, "")
    probe = Probe(with_targets(problem, 4))
    cells = probe.partition("segment12")
    assert len(set(cells.counts.tolist())) > 1
    curve = at_even_shares(cells, 20, 6, lambda counts: 1 - (counts / cells.counts[:, None]).clamp(max=1).double())
    assert area(curve, cells.number).tolist() == pytest.approx([0.5] * 6)


@pytest.mark.parametrize(
    ("shape", "number"), [((1, 40), 40), ((3, 150, 150), 36), ((3, 224, 224), 64), ((1, 28, 28), 49)]
)
def test_patches_of_the_usual_sizes_are_alike_so_no_map_gains_by_their_size(shape, number):
    cells = partition("patch64", torch.zeros(1, *shape))
    sizes = cells.sums(torch.ones(1, *shape[1:]))
    assert cells.number == number
    assert sizes.min() == sizes.max()
