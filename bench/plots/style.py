"""What all pictures share: fonts, colours, markers, files."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from bench.core.errors import RequestError
from bench.core.files import atomic
from bench.core.vocabulary import FAMILY_ORDER, RANDOM, Column

PALE = 0.15  # share of its colour that an uncertain difference keeps
MANY = 12  # methods; where there are more, pictures turn by a quarter or name only some
FEW = 30  # metrics; where there are more, a matrix of them has no figures in it
NAMED = 8  # of the best, where not all can be
DASHES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (5, 2, 1, 2))]
DPI = 150  # of files, and so of layouts: letters are not of quite the same width in another resolution
FORMATS = (".png", ".svg", ".pdf")
TITLE = 9.5  # points
LETTER_WIDTH = 0.076  # inches of an average letter of the title
DAGGER = " †"
MARKERS = "osD^vPX<>*hp8d"
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "svg.hashsalt": "bench",
    "svg.fonttype": "none",
}


def save(figure: Figure, path: Path, *, svg: bool = False) -> None:
    """Writes `path`.png and, on request, `path`.svg; without the request an older one is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with_powers(figure)
    canvas = FigureCanvasAgg(figure)
    with mpl.rc_context(STYLE | {"text.parse_math": True}):
        canvas.draw()  # `savefig` would draw twice for each file, and lay out anew
        figure.set_layout_engine("none")
        with atomic(path.with_name(f"{path.name}.png")) as part:
            _with_palette(np.asarray(canvas.buffer_rgba())).save(part, "PNG")
        vector = path.with_name(f"{path.name}.svg")
        if not svg:
            vector.unlink(missing_ok=True)
            return
        with atomic(vector) as part:
            FigureCanvasSVG(figure).print_svg(part, metadata={"Date": None, "Creator": None})


def _with_palette(pixels: np.ndarray) -> Image.Image:
    """A picture (H, W, 4) in 256 colours, a third of the size: the octree keeps rare colours, and white stays white."""
    found = Image.fromarray(pixels).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    colours = np.array(found.getpalette(), dtype=np.uint8).reshape(-1, 3)
    white = pixels.reshape(-1, 4).view(np.uint32)[:, 0] == 0xFFFFFFFF
    place = int(white.argmax())
    if white[place]:  # one colour of the palette stands for all white pixels
        colours[np.asarray(found).flat[place]] = 255
    found.putpalette(colours.tobytes())
    return found


def with_powers(figure: Figure) -> None:
    """Labels of logarithmic axes are formulas, whatever was said of texts when they were made."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                for label in (*axis.get_majorticklabels(), *axis.get_minorticklabels()):
                    label.set_parse_math(True)


def check_path(path: Path) -> None:
    """Raises RequestError where no picture can be written to that path."""
    if path.suffix not in FORMATS:
        raise RequestError(f"picture {path} cannot be written; its name must end in {', '.join(FORMATS)}")
    if path.is_dir():
        raise RequestError(f"picture {path} is a folder; the path of a file is needed")
    if not path.parent.is_dir():
        raise RequestError(f"picture {path} cannot be written; its folder does not exist")


def write(figure: Figure, path: Path) -> None:
    """Writes one file of the kind that its name says (FORMATS)."""
    with mpl.rc_context(STYLE), atomic(path) as part:
        figure.savefig(part, format=path.suffix[1:], dpi=DPI)


def new_figure(
    lines: int, columns: int, *, width: float, height: float, grid: bool = True, **panels: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of that size in inches, and its panels line by line; `panels` as `Figure.subplots` takes them."""
    with mpl.rc_context(STYLE), sns.axes_style("whitegrid" if grid else "white"):
        figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
        FigureCanvasAgg(figure)  # else each label that seaborn measures gets a canvas of its own, a gigabyte in all
        found = figure.subplots(lines, columns, squeeze=False, **panels)
    return figure, list(found.ravel())


def look(name: str, number: int) -> tuple[Any, Any, str]:
    """Colour, dashes and marker of a method."""
    if name == RANDOM:
        return "black", "--", "s"
    colours = sns.color_palette("colorblind")
    return colours[number % len(colours)], DASHES[number % len(DASHES)], MARKERS[number % len(MARKERS)]


def family_look(family: str) -> tuple[Any, str]:
    """Colour and marker of a family of metrics."""
    number = FAMILY_ORDER.index(family) if family in FAMILY_ORDER else len(FAMILY_ORDER)
    return sns.color_palette("colorblind")[number], MARKERS[number]


def in_order(families: pd.Series) -> list[str]:
    """The families there are, in the order of the leaderboards."""
    found = set(families)
    return [name for name in FAMILY_ORDER if name in found] + sorted(found - set(FAMILY_ORDER))


def with_arrow(metric: str, higher_is_better: bool) -> str:
    """A metric's name with the direction that is better."""
    return f"{metric} {'↑' if higher_is_better else '↓'}"


def set_heading(figure: Figure, *lines: str) -> None:
    """A title at the upper left, wrapped to the figure's width; each line starts anew."""
    width = int(figure.get_figwidth() / LETTER_WIDTH)
    text = "\n".join(fill(line, width) for line in lines if line)
    figure.suptitle(text, fontsize=TITLE, x=0.01, ha="left", parse_math=False)


def method_labels(board: pd.DataFrame) -> list[str]:
    """The names of methods, those with a dagger whose scores are from a release file."""
    if Column.ORIGIN not in board:
        return list(board["method"])
    return [name + (DAGGER if file else "") for name, file in zip(board["method"], board[Column.ORIGIN], strict=True)]


def origin_note(board: pd.DataFrame, text: str = f"{DAGGER.strip()}: scores from") -> str:
    """What the dagger means, or the text, and the release files; empty where the board has no scores of one."""
    files = sorted(set(board[Column.ORIGIN]) - {""}) if Column.ORIGIN in board else []
    return f"{text} {', '.join(files)}." if files else ""


def short(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3g}"


def hundredths(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"


def samples_of(wide: pd.DataFrame) -> int:
    return int(wide[Column.N_SAMPLES].max())
