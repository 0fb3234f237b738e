"""A matrix as coloured cells with figures in them.

The figures of all cells are one artist: a text for each would take ten times as long to make, to lay out and to draw.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D

DIGIT_HEIGHT = 0.73  # of the size of the letters
BRIGHT = 0.408  # relative luminance above which figures are dark


class Figures(PathCollection):
    """The figures in the cells of a matrix; `labels` holds them as texts, (rows, columns)."""

    labels: np.ndarray


def draw_cells(
    axes: Axes,
    values: np.ndarray,
    *,
    colours: str,
    limits: tuple[float, float],
    gap: float,
    labels: np.ndarray | None = None,
    size: float = 7,
    square: bool = False,
    **bar: Any,
) -> Colorbar:
    """Cells of size 1, the first row on top: values (rows, columns), `gap` points apart; NaN stay empty.

    `labels`: the figures, texts of the same shape; `bar`: as `Figure.colorbar` takes it.
    """
    lines, columns = values.shape
    scale, colour_map = Normalize(*limits), mpl.colormaps[colours]
    shown: Any = np.ma.masked_invalid(values)  # type: ignore[no-untyped-call]
    mesh = axes.pcolormesh(shown, cmap=colour_map, norm=scale, edgecolors="white", linewidth=gap)
    axes.set(xlim=(0, columns), ylim=(lines, 0))
    axes.spines[:].set_visible(False)
    if square:
        axes.set_aspect("equal")
    if labels is not None:
        dark = _luminance(colour_map(scale(shown))[..., :3]) > BRIGHT
        _write(axes, labels, np.where(dark, 0.15, 1.0), size)
    made: Colorbar = axes.figure.colorbar(mesh, ax=axes, **bar)
    made.outline.set_linewidth(0)
    return made


def _luminance(rgb: np.ndarray) -> np.ndarray:
    """Relative luminance (WCAG) of colours: (..., 3) -> (...)."""
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def _write(axes: Axes, labels: np.ndarray, grey: np.ndarray, size: float) -> None:
    """Puts texts of digits into the middle of the cells, in these levels of grey: both (rows, columns)."""
    lines, columns = np.nonzero(labels != "")
    inch = axes.get_figure(root=True).dpi_scale_trans  # type: ignore[union-attr]
    found = Figures(
        [_outline(text) for text in labels[lines, columns]],
        offsets=np.column_stack([columns + 0.5, lines + 0.5]),
        offset_transform=axes.transData,
        facecolors=np.repeat(grey[lines, columns, None], 3, axis=1),
        linewidths=0,
        transform=Affine2D().scale(size / 72) + inch,
        zorder=3,
    )
    found.set_in_layout(False)  # each inside its cell
    found.labels = labels
    axes.add_collection(found, autolim=False)


@lru_cache(maxsize=10_000)
def _outline(text: str) -> Path:
    """A text of digits around the origin, in units of the size of the letters."""
    starts = np.cumsum([0.0, *(_glyph(letter)[1] for letter in text)])
    parts = [_glyph(letter)[0] for letter in text]
    shifts = [(start - starts[-1] / 2, -DIGIT_HEIGHT / 2) for start in starts]
    vertices = np.concatenate([np.asarray(part.vertices) + shift for part, shift in zip(parts, shifts, strict=False)])
    return Path(vertices, np.concatenate([part.codes for part in parts]))


@lru_cache(maxsize=100)
def _glyph(letter: str) -> tuple[Path, float]:
    """The outline of a letter, and how far the next one is, in units of the size of the letters."""
    (alone, codes), (zero, _), (both, _) = (_path(text) for text in (letter, "0", f"{letter}0"))
    return Path(alone, codes), float(both[len(alone), 0] - zero[0, 0])


def _path(text: str) -> tuple[np.ndarray, Any]:
    vertices, codes = text_to_path.get_text_path(FontProperties(), text)
    return np.reshape(vertices, (-1, 2)) / text_to_path.FONT_SCALE, codes
