"""The commands that make maps: pictures of them, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.cli import options, own_data

SHOWN = "integrated_gradients,grad_cam,lrp_composite,smoothgrad,sise,random"  # by explain, if no method is named


def add_explain(commands: Any) -> None:
    explain = options.add_command(
        commands,
        "explain",
        "explain",
        "draw the maps of several methods for one input, side by side",
        "Explains one sample of a task, or an input of your own, with several methods and draws the maps side by side.",
        "examples:\n"
        "  python -m bench explain tissue --sample 3 --method grad_cam,lrp_composite,random -o maps.png\n"
        "  python -m bench explain hmt --input tile.png --target tumor\n"
        "  python -m bench explain image_folder --images photos --model timm:resnet18 --weights resnet18.safetensors",
    )
    explain.add_argument(
        "task",
        metavar="TASK",
        help="the task whose model is explained; also 'hmt[size=224]', and image_folder or arrays for your own files",
    )
    what = explain.add_mutually_exclusive_group()
    what.add_argument("--sample", default="0", metavar="I", help="number or id of a sample (default: 0)")
    what.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        help="an input of your own: an image, scaled to the task's size, or values as .npy or .csv (one channel per line)",
    )
    explain.add_argument(
        "--method", nargs="+", default=[SHOWN], metavar="NAME", help=f"separated by commas or spaces (default: {SHOWN})"
    )
    explain.add_argument(
        "--target", metavar="CLASS", help="class to explain, by name or number (default: the task's, or the prediction)"
    )
    options.add_seed(explain)
    explain.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("maps.png"),
        metavar="FILE",
        help="picture to write: .png, .svg or .pdf (default: %(default)s)",
    )
    options.add_device(explain)
    own_data.add_options(explain, output_is_file=True, has_target=True)
    where = explain.add_argument_group("files")
    options.add_data(where)
    options.add_plugins(where)


def add_attribute(commands: Any) -> None:
    attribute = options.add_command(
        commands,
        "attribute",
        "attribute",
        "write the maps of methods to files",
        "Explains samples of a task with methods and writes the maps, under the ids of their samples, to files that\n"
        "`run --maps` and other programs read. A .npz file holds the arrays sample_ids (N,) and maps (N, *S), and the\n"
        "id of the task; a .safetensors file one tensor for each sample id.",
        "examples:\n"
        "  python -m bench attribute mnist1d --method grad_cam --samples 64 -o maps.npz\n"
        "  python -m bench attribute tissue --method 'lrp*' saliency --samples 8 -o maps    one file for each method",
    )
    attribute.add_argument(
        "task",
        metavar="TASK",
        help="the task whose model is explained; also 'hmt[size=224]', and image_folder or arrays for your own files",
    )
    attribute.add_argument(
        "--method", nargs="+", required=True, metavar="NAME", help="these methods; wildcards are allowed"
    )
    attribute.add_argument(
        "--samples",
        type=options.positive,
        metavar="N",
        help="number of samples, from the first (default: as many as `run` scores)",
    )
    options.add_seed(attribute)
    attribute.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("maps"),
        metavar="PATH",
        help="for one method a .npz or .safetensors file; for any number of methods a folder, which gets a file METHOD.npz of "
        "each (default: %(default)s)",
    )
    options.add_device(attribute)
    attribute.add_argument(
        "--batch-size", type=options.positive, metavar="N", help="inputs per forward pass (default: the task's own)"
    )
    own_data.add_options(attribute, output_is_file=True)
    where = attribute.add_argument_group("files")
    options.add_data(where)
    options.add_plugins(where)
