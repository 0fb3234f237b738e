"""Draws stained tissue: light through stains, textures, the eight structures and the four grounds of the task `tissue`.

Everything is an amount of stain (H, W, 3) for haematoxylin, eosin and brown. Colours follow from the Beer-Lambert law:

    light = 10^-(amounts of stain @ absorption of each stain)    [ruifrok2001]
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Array = np.ndarray
SIZE = 80
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE] - SIZE / 2 + 0.5
NEIGHBOURS = np.indices((3, 3)).reshape(2, 9).T[:, None, None, :] - 1  # (9, 1, 1, 2)
# Absorption of red, green and blue light by haematoxylin, by eosin, and by what is brown (DAB there; haemoglobin and the
# proteins themselves here) [ruifrok2001]; the numbers of skimage.color.rgb_from_hed.
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])

# --- light


def transmitted(amounts: Array) -> Array:
    """Optical densities (..., 3) of haematoxylin, eosin and brown -> RGB (..., 3) in (0, 1], by Beer and Lambert."""
    return np.power(10.0, -(amounts @ STAINS))


def photograph(amounts: Array, rng: np.random.Generator) -> Array:
    """Amounts of stain (H, W, 3) -> uint8 RGB (H, W, 3): stained a little unlike others, lit unevenly, with noise."""
    thickness = np.exp(0.12 * rng.standard_normal(3) + 0.04 * smooth(rng, 15)[..., None])
    slope = rng.uniform(-0.03, 0.03, 2) / SIZE
    light = rng.uniform(0.95, 0.985) + slope[0] * ROWS + slope[1] * COLUMNS
    rgb = light[..., None] * transmitted(amounts * thickness) + 0.012 * rng.standard_normal((SIZE, SIZE, 3))
    return (255 * rgb.clip(0, 1)).round().astype(np.uint8)


# --- what textures are made of


@functools.cache
def _transfer(sigma: float) -> Array:
    """Fourier transform of a Gaussian, scaled so that it turns white noise into noise of unit variance."""
    f = np.fft.fftfreq(SIZE)
    gauss = np.exp(-2 * (np.pi * sigma) ** 2 * (f[:, None] ** 2 + f**2))
    return (gauss / np.sqrt((gauss**2).mean()))[:, : SIZE // 2 + 1]


def smooth(rng: np.random.Generator, sigma: float) -> Array:
    """Gaussian noise (H, W) of unit variance, blurred by `sigma` pixels."""
    return np.fft.irfft2(np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) * _transfer(sigma), s=(SIZE, SIZE))


def paint(below: Array, cover: Array, stain: Array | tuple[float, float, float]) -> Array:
    """Amounts (H, W, 3) with `stain`, (3,) or (H, W, 3), laid over where `cover` (H, W) is 1, and mixed between."""
    return below + cover[..., None] * (np.asarray(stain) - below)


def plain(stain: tuple[float, float, float]) -> Array:
    return np.broadcast_to(np.asarray(stain), (SIZE, SIZE, 3))


def frame(rng: np.random.Generator, *, bend: float, wave: float = 0.0) -> tuple[Array, Array]:
    """Coordinates (H, W) along and across a random direction, bent by some pixels and in waves of some pixels."""
    angle, phase = rng.uniform(0, 2 * np.pi, 2)
    along = np.cos(angle) * COLUMNS + np.sin(angle) * ROWS + bend * smooth(rng, 6)
    across = np.cos(angle) * ROWS - np.sin(angle) * COLUMNS + bend * smooth(rng, 6)
    return along, across + wave * np.sin(2 * np.pi * along / rng.uniform(22, 34) + phase)


class Cells(NamedTuple):
    """Cells that fill the plane: each pixel is of the cell with the nearest centre. All but `number` are (H, W)."""

    owner: Array  # number of the pixel's cell
    along: Array  # from the centre to the pixel, in pixels of the frame
    across: Array
    wall: Array  # distance to the cell's border
    number: int


def cells(
    rng: np.random.Generator, where: tuple[Array, Array], spacing: float, *, stretch: float = 1.0, jitter: float = 0.7
) -> Cells:
    """Cells around the points of a jittered lattice, `spacing` pixels apart, longer along the frame by `stretch`^2."""
    scale = spacing * stretch, spacing / stretch
    side = int(2 * SIZE / min(scale)) + 6
    centres = np.indices((side, side)) + 0.5 + jitter * (rng.random((2, side, side)) - 0.5)
    place = [axis / step + side / 2 for axis, step in zip(where, scale, strict=True)]
    corner = np.floor(place[0]).astype(int) * side + np.floor(place[1]).astype(int)
    near = corner + NEIGHBOURS @ (side, 1)  # (9, H, W), numbers of the centres around
    u, v = (axis - of.ravel()[near] for axis, of in zip(place, centres, strict=True))
    square = u * u + v * v
    first = square.argmin(0)[None]
    number, own_u, own_v, least = (np.take_along_axis(values, first, 0)[0] for values in (near, u, v, square))
    # From a pixel to the line halfway between two centres; its own centre is in the list too, and no neighbour of it.
    apart = np.where(near == number, np.nan, np.hypot(u - own_u, v - own_v))
    wall = np.fmin.reduce((square - least) / (2 * apart))
    return Cells(number, own_u * scale[0], own_v * scale[1], wall * spacing, side * side)


def nuclei(
    rng: np.random.Generator,
    below: Array,
    crowd: Cells,
    *,
    radius: tuple[float, float],
    dark: tuple[float, float],
    aspect: tuple[float, float] = (1.0, 1.2),
    turned: bool = True,
    share: float = 1.0,
    chromatin: float = 0.2,
    nucleolus: float = 0.0,
) -> Array:
    """Amounts (H, W, 3) with a nucleus laid into a `share` of the cells: an ellipse with a rim and grainy chromatin."""
    n, owner = crowd.number, crowd.owner
    angle = rng.uniform(0, np.pi, n) * turned
    long = np.sqrt(rng.uniform(*aspect, n))
    size = np.where(rng.random(n) < share, rng.uniform(*radius, n), -9.0)
    u = np.cos(angle)[owner] * crowd.along + np.sin(angle)[owner] * crowd.across
    v = np.cos(angle)[owner] * crowd.across - np.sin(angle)[owner] * crowd.along
    depth = size[owner] - np.hypot(u / long[owner], v * long[owner])
    grain = 1 + chromatin * smooth(rng, 0.9) + 0.2 * (depth < 1)
    blue = rng.uniform(*dark, n)[owner] * grain.clip(0.4)
    blue += nucleolus * (1.6 - np.hypot(u - 0.7, v)).clip(0, 1)
    return paint(below, (depth + 0.5).clip(0, 1), np.stack([blue, 0.15 + 0 * blue, 0.03 + 0 * blue], -1))


def threads(rng: np.random.Generator, where: tuple[Array, Array], *, width: float, length: float) -> Array:
    """Noise (H, W) of unit variance, drawn out along a frame: `width` and `length` in pixels."""
    from scipy.ndimage import map_coordinates

    along, across = where
    at = [across / width + SIZE / 2, along / length + SIZE / 2]
    return map_coordinates(smooth(rng, 1.0), at, order=1, mode="grid-wrap")


# --- the eight structures: amounts (H, W, 3), and the cells that the patch must not cut

Structure = tuple[Array, Array | None]  # and the number of the cell that each pixel belongs to, where there are cells


def tumour(rng: np.random.Generator) -> Structure:
    """Large, crowded, uneven nuclei with coarse chromatin and nucleoli, little cytoplasm."""
    crowd = cells(rng, frame(rng, bend=1.0), 8.5)
    below = plain((0.12, 0.24, 0.08)) * (1 + 0.15 * smooth(rng, 1.2))[..., None]
    return nuclei(
        rng, below, crowd, radius=(2.9, 4.2), dark=(0.5, 0.9), aspect=(1, 1.6), chromatin=0.35, nucleolus=0.6
    ), crowd.owner


def stroma(rng: np.random.Generator) -> Structure:
    """Wavy bundles of collagen with clefts between them and a few thin nuclei."""
    where = frame(rng, bend=1.0, wave=3.0)
    bundle = threads(rng, where, width=1.3, length=14)
    pink = np.array([0.02, 0.34, 0.15]) * (0.85 + 0.25 * bundle + 0.1 * smooth(rng, 0.8)).clip(0.05)[..., None]
    below = paint(pink, (-1.4 * bundle - 0.9).clip(0, 1), (0.0, 0.03, 0.01))
    spindles = cells(rng, where, 11, stretch=1.6)
    return nuclei(
        rng, below, spindles, radius=(1.5, 2.0), dark=(0.7, 1.0), aspect=(4, 7), turned=False, share=0.6
    ), None


def lymphocytes(rng: np.random.Generator) -> Structure:
    """Small round dark nuclei, shoulder to shoulder."""
    crowd = cells(rng, frame(rng, bend=1.5), 5.3, jitter=0.65)
    below = plain((0.10, 0.12, 0.04)) * (1 + 0.2 * smooth(rng, 1.5))[..., None]
    return nuclei(rng, below, crowd, radius=(1.9, 2.5), dark=(0.95, 1.35), share=0.95, chromatin=0.15), crowd.owner


def adipose(rng: np.random.Generator) -> Structure:
    """Empty cells with thin walls; here and there a nucleus pressed against one."""
    fat = cells(rng, frame(rng, bend=1.5), 14, jitter=0.6)
    below = paint(plain((0.0, 0.015, 0.005)), (1.3 - fat.wall).clip(0, 1), (0.05, 0.28, 0.12))
    side = 2 * np.pi * rng.random(fat.number)[fat.owner]
    flat = (1 - np.abs(np.angle(np.exp(1j * (np.arctan2(fat.across, fat.along) - side)))) / 0.35).clip(0, 1)
    flat *= (rng.random(fat.number) < 0.35)[fat.owner]
    return paint(below, (2 * flat).clip(0, 1) * (2.0 - fat.wall).clip(0, 1), (0.85, 0.15, 0.03)), fat.owner


def glands(rng: np.random.Generator) -> Structure:
    """Rings of tall cells around a pale lumen, their nuclei in a row at the base."""
    ring = cells(rng, frame(rng, bend=1.2), 22, jitter=0.5)
    turn = np.arctan2(ring.across, ring.along) / (2 * np.pi) * 15 + 7.5
    sideways = (turn % 1 - 0.5) * 2 * np.pi / 15 * np.hypot(ring.along, ring.across)
    below = plain((0.03, 0.24, 0.11)) * (1 + 0.2 * smooth(rng, 1.5))[..., None]
    below = paint(below, (ring.wall - 0.7).clip(0, 1), (0.07, 0.18, 0.06))
    below = paint(below, (ring.wall - 5.4).clip(0, 1), (0.04, 0.34, 0.11))
    below = paint(below, (ring.wall - 6.4).clip(0, 1), (0.02, 0.03, 0.01))
    each = rng.random((ring.number, 16))[ring.owner, turn.astype(int)]
    depth = 1.4 - np.hypot((ring.wall - 2.7 - 0.8 * each) / 1.5, sideways)
    blue = (0.75 + 0.3 * each) * (1 + 0.2 * smooth(rng, 0.9))
    return paint(below, (depth + 0.5).clip(0, 1), np.stack([blue, 0.15 + 0 * blue, 0.03 + 0 * blue], -1)), ring.owner


def mucin(rng: np.random.Generator) -> Structure:
    """A pale blue pool with threads in it."""
    where = frame(rng, bend=4.0, wave=2.0)
    strand = threads(rng, where, width=1.6, length=10)
    blue = 0.13 + 0.05 * smooth(rng, 5) + 0.10 * (strand - 0.3).clip(0) + 0.015 * smooth(rng, 0.8)
    return blue.clip(0.02)[..., None] * np.array([1.0, 0.12, 0.0]), None


def necrosis(rng: np.random.Generator) -> Structure:
    """Grainy pink matter without cells, with the crumbs of broken nuclei."""
    grain = 1 + 0.28 * smooth(rng, 0.9) + 0.18 * smooth(rng, 3)
    below = np.array([0.09, 0.36, 0.19]) * grain.clip(0.2)[..., None]
    crumbs = cells(rng, frame(rng, bend=2.0), 4.5, jitter=0.9)
    return nuclei(
        rng, below, crumbs, radius=(0.3, 1.5), dark=(0.7, 1.4), aspect=(1, 2.5), share=0.45, chromatin=0.1
    ), None


def erythrocytes(rng: np.random.Generator) -> Structure:
    """Red discs, paler in the middle, in a bleeding."""
    discs = cells(rng, frame(rng, bend=0.6), 6.2, jitter=0.6)
    far = np.hypot(discs.along, discs.across) / rng.uniform(2.5, 3.1, discs.number)[discs.owner]
    red = np.array([0.02, 0.55, 0.42]) * (0.65 + 0.35 * far.clip(0, 1) ** 2)[..., None]
    red = red * rng.uniform(0.8, 1.2, discs.number)[discs.owner][..., None]
    return paint(plain((0.02, 0.08, 0.04)), (3 * (1 - far) + 0.5).clip(0, 1), red), discs.owner


# --- the four grounds: amounts (H, W, 3)


def parenchyma(rng: np.random.Generator) -> Array:
    """Like liver: broad pink cells, each with one round nucleus."""
    crowd = cells(rng, frame(rng, bend=1.0), 12.5, jitter=0.6)
    below = np.array([0.06, 0.25, 0.12]) * (1 + 0.12 * smooth(rng, 1.2))[..., None]
    below = paint(below, 0.6 * (1.2 - crowd.wall).clip(0, 1), (0.02, 0.12, 0.03))
    return nuclei(rng, below, crowd, radius=(2.2, 2.8), dark=(0.45, 0.7), share=0.85, nucleolus=0.3)


def muscle(rng: np.random.Generator) -> Array:
    """Straight, closely packed pink fibres with blunt nuclei."""
    where = frame(rng, bend=0.7)
    below = np.array([0.03, 0.31, 0.14]) * (1 + 0.10 * threads(rng, where, width=2.2, length=30))[..., None]
    spindles = cells(rng, where, 13, stretch=1.6)
    return nuclei(rng, below, spindles, radius=(1.7, 2.2), dark=(0.5, 0.8), aspect=(3, 5), turned=False, share=0.5)


def loose(rng: np.random.Generator) -> Array:
    """Watery tissue: a pale pink net of threads, few nuclei."""
    net = threads(rng, frame(rng, bend=3.0), width=1.8, length=5) + threads(
        rng, frame(rng, bend=3.0), width=1.8, length=5
    )
    below = np.array([0.02, 0.12, 0.06]) * (0.7 + 0.35 * net).clip(0.15)[..., None]
    crowd = cells(rng, frame(rng, bend=1.0), 13, jitter=0.9)
    return nuclei(rng, below, crowd, radius=(1.4, 2.2), dark=(0.5, 0.8), aspect=(1.3, 3), share=0.5)


def hyaline(rng: np.random.Generator) -> Array:
    """Even, glassy pink matter with few nuclei."""
    below = np.array([0.02, 0.22, 0.11]) * (1 + 0.10 * smooth(rng, 7) + 0.03 * smooth(rng, 1))[..., None]
    crowd = cells(rng, frame(rng, bend=1.0), 16, jitter=0.9)
    return nuclei(rng, below, crowd, radius=(1.6, 2.4), dark=(0.5, 0.8), aspect=(1, 2), share=0.5)


STRUCTURES: tuple[Callable[[np.random.Generator], Structure], ...] = (
    tumour,
    stroma,
    lymphocytes,
    adipose,
    glands,
    mucin,
    necrosis,
    erythrocytes,
)
GROUNDS: tuple[Callable[[np.random.Generator], Array], ...] = (parenchyma, muscle, loose, hyaline)
