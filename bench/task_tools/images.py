"""What a model's transform makes of image files and masks of any mode and size."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from bench.core.errors import RequestError
from bench.task_tools.image_files import SUFFIXES, Folder, some
from bench.task_tools.own_network import Transform, short

LARGEST = 2**32  # bytes of inputs that are held in memory
EXIF_ORIENTATION = 0x0112
KINDS = {"1": "black and white", "L": "grey", "LA": "grey", "P": "palette", "PA": "palette"}  # others: the mode's name
ALPHA = "with transparency, which is dropped"
DEEP = "of more than 8 bits, which are scaled to 8"
TURNED = "turned upright (EXIF)"
FRAMES = "of several frames (the first is taken)"
DAMAGED = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what Pillow raises of a file


@dataclass(frozen=True)
class Pixels:
    """How a transform maps pixel values: black to `low`, white to `high` (C, 1, 1), and what lies between in proportion."""

    low: Tensor
    high: Tensor

    def share(self, values: Tensor) -> Tensor:
        """How far from black to white, mean over the channels: (C, H, W) -> (H, W)."""
        return ((values - self.low) / (self.high - self.low)).mean(0)

    def baseline(self) -> Tensor:
        """What "absent" means: 0, the mean colour that the transform subtracts; or mid-grey where it subtracts none. (C,)."""
        low, high = torch.minimum(self.low, self.high), torch.maximum(self.low, self.high)
        subtracts = bool((low < 0).all() and (high > 0).all())
        return (torch.zeros_like(low) if subtracts else (low + high) / 2).flatten()

    def of_colour(self, colour: Tensor) -> Tensor:
        """The value of a colour (C,), from 0 for black to 255 for white. (C,)."""
        return (self.low + colour.view(-1, 1, 1) / 255 * (self.high - self.low)).flatten()

    def holds(self, inputs: Tensor) -> bool:
        """Whether all inputs (N, C, H, W) lie between black and white."""
        low, high = self.bounds()
        return bool((inputs >= low).all() and (inputs <= high).all())

    def bounds(self) -> Tensor:
        """(2, C, 1, 1), lowest and highest value."""
        return torch.stack([torch.minimum(self.low, self.high), torch.maximum(self.low, self.high)])


def opened(path: Path) -> tuple[Image.Image, list[str]]:
    """An image file as RGB, upright, and what had to be converted; the first frame. Raises OSError or ValueError if damaged."""
    with warnings.catch_warnings(), Image.open(path) as image:
        warnings.simplefilter("ignore")  # Pillow warns of a damaged file and then raises
        done = [FRAMES] if getattr(image, "n_frames", 1) > 1 else []
        image.load()
        if image.getexif().get(EXIF_ORIENTATION, 1) != 1:
            done.append(TURNED)
        image = ImageOps.exif_transpose(image)
        if image.mode == "F":
            raise ValueError("floating-point values have no known range")
        if image.mode.startswith("I"):
            done.append(DEEP)
            image = _in_8_bits(image)
        elif image.mode in KINDS or image.mode not in ("RGB", "RGBA", "RGBa", "RGBX"):
            done.append(KINDS.get(image.mode, image.mode))
        if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
            done.append(ALPHA)
        if image.mode == "RGBa":
            image = image.convert("RGBA")
        return image.convert("RGB"), done


def _in_8_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("values beyond 16 bits have no known range")
    return Image.fromarray((values / 257).round().astype(np.uint8))


def first_input(folder: Folder, names: Sequence[str], transform: Transform) -> tuple[str, Tensor]:
    """The first image that can be read, and its input (C, H, W). Raises RequestError where two readings of it differ."""
    for name in names:
        try:
            image, _ = opened(folder.files[name])
        except DAMAGED:
            continue
        values = transformed(transform, image, name)
        if not torch.equal(values, transformed(transform, image, name)):
            raise RequestError(
                f"--model: its transform makes two different inputs of {name}; one without random changes is needed"
            )
        return name, values
    raise RequestError(f"--images {folder.path}: none of its {len(names)} images can be read; other files are needed")


def read(folder: Folder, names: Sequence[str], transform: Transform) -> tuple[Tensor, list[str]]:
    """The inputs (N, C, H, W) of these samples, and sentences about what was converted or left out."""
    inputs: list[Tensor] = []
    done: Counter[str] = Counter()
    damaged: dict[str, str] = {}
    converted = 0
    for name in names:
        try:
            image, kinds = opened(folder.files[name])
        except DAMAGED as error:
            damaged[name] = short(error)
            continue
        done.update(kinds)
        converted += bool(kinds)
        if not damaged:
            inputs.append(transformed(transform, image, name))
            if inputs[-1].shape != inputs[0].shape:
                raise RequestError(
                    f"--model: its transform makes {tuple(inputs[0].shape)} of {names[0]} and {tuple(inputs[-1].shape)} of "
                    f"{name}; one size is needed, so end it with Resize((H, W)) or CenterCrop"
                )
    if damaged:
        first = next(iter(damaged.values()))
        raise RequestError(
            f"--images {folder.path}: {len(damaged)} of {len(names)} images cannot be read: {_names(damaged)} ({first}); "
            "repair or remove them"
        )
    notes = []
    if converted:
        kinds_text = ", ".join(f"{count} {kind}" for kind, count in done.most_common())
        notes.append(f"{converted} of {len(names)} images were converted to RGB: {kinds_text}")
    if folder.left_out:
        files = "1 file is no image" if len(folder.left_out) == 1 else f"{len(folder.left_out)} files are no images"
        notes.append(f"{files} in {folder.path}: {_names(folder.left_out)}")
    return torch.stack(inputs), notes


def transformed(transform: Transform, image: Image.Image, name: str) -> Tensor:
    """What the transform makes of an image (C, H, W). Raises RequestError where it fails or gives anything else."""
    try:
        values = transform(image)
    except Exception as error:  # of the user
        raise RequestError(
            f"--model: its transform failed on {name} ({short(error)}); it must take a PIL image and return a tensor (C, H, W)"
        ) from error
    if not isinstance(values, Tensor) or values.dim() != 3 or not values.is_floating_point():
        kind = f"{values.dtype} {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise RequestError(
            f"--model: its transform made {kind} of {name}; a floating-point tensor (C, H, W) is needed, so end it "
            "with ToTensor or ToDtype(float32, scale=True)"
        )
    return values.detach().as_subclass(Tensor)  # torchvision's newer transforms return a kind of their own


def check_size(folder: Folder, samples: int, shape: Sequence[int]) -> None:
    """Raises RequestError where so many inputs of that shape do not fit into memory."""
    each = int(np.prod(shape)) * 4
    if samples * each > LARGEST:
        raise RequestError(
            f"--images {folder.path}: {samples} images of shape {tuple(shape)} need {samples * each / 1e9:.0f} GB; take fewer "
            f"with --samples N, at most {LARGEST // each}"
        )


def pixels(transform: Transform, size: tuple[int, int]) -> Pixels | None:
    """How the transform maps pixel values, by images of one colour; None where it depends on the rest of the image."""
    black, grey, white = (transform(Image.new("RGB", size, (value,) * 3)) for value in (0, 102, 255))
    low, high = (values.flatten(1).median(1).values[:, None, None] for values in (black, white))
    if bool((low == high).any()):
        return None
    even = [
        torch.allclose((values - low) / (high - low), torch.tensor(share), atol=1e-3)
        for values, share in ((black, 0.0), (grey, 0.4), (white, 1.0))
    ]
    return Pixels(low, high) if all(even) else None


def masks(folder: Path, images: Folder, names: Sequence[str], transform: Transform, scale: Pixels | None) -> Tensor:
    """Where the evidence is (N, H, W), bool: masks of the images' names, resized and cropped as these are."""
    if not folder.is_dir():
        raise RequestError(f"--masks {folder}: no such folder; a folder with a mask for each image is needed")
    if scale is None:
        raise RequestError(
            f"--masks {folder}: the model's transform changes pixels by more than size, crop and fixed mean and "
            "deviation, so masks cannot follow; another transform is needed"
        )
    found = _masks_of(folder, names)
    missing = [name for name in names if not found[name]]
    if missing:
        raise RequestError(
            f"--masks {folder}: {some(missing, len(names), 'image')} without a mask; one of the same name is needed for each"
        )
    for name, paths in found.items():
        if len(paths) > 1:
            raise RequestError(
                f"--masks {folder}: {paths[0].name} and {paths[1].name} may both be that of {name}; one is needed"
            )
    return torch.stack(
        [scale.share(transform(_mask(paths[0], images.files[name]))) >= 0.5 for name, paths in found.items()]
    )


def _masks_of(folder: Path, names: Sequence[str]) -> dict[str, list[Path]]:
    """The masks of each image: the file of its name, or else all that differ from it in the suffix alone."""
    by_stem: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("[!.]*")):
        if path.suffix.lower() in SUFFIXES:
            by_stem.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    likely = {name: by_stem.get(Path(name).with_suffix("").as_posix(), []) for name in names}
    return {name: [path for path in paths if path == folder / name] or paths for name, paths in likely.items()}


def _mask(path: Path, image: Path) -> Image.Image:
    """A mask as an image that is white where the evidence is. Raises RequestError unless it has two values, one of them 0."""
    try:
        with Image.open(image) as other:
            size = ImageOps.exif_transpose(other).size
        with Image.open(path) as opened_mask:
            upright: Any = ImageOps.exif_transpose(opened_mask)
            values = np.asarray(upright.convert("RGB") if upright.mode in ("RGBA", "CMYK") else upright)
    except DAMAGED as error:
        raise RequestError(
            f"--masks: {path} cannot be read ({short(error)}); an image of 0 and one other value is needed"
        ) from error
    if upright.size != size:
        raise RequestError(
            f"--masks: {path} has {upright.width}x{upright.height} pixels, its image {size[0]}x{size[1]}; the same is needed"
        )
    values = values.max(axis=2) if values.ndim == 3 else values
    found = np.unique(values)
    if len(found) > 2 or (len(found) == 2 and found[0] != 0):
        raise RequestError(
            f"--masks: {path} holds {len(found)} values from {found[0]:g} to {found[-1]:g}; 0 and one other value are needed "
            "(as .png, since .jpg blurs)"
        )
    return Image.fromarray(np.where(values > 0, 255, 0).astype(np.uint8)).convert("RGB")


def _names(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:3]) + (f", ... ({len(every)} in all)" if len(every) > 3 else "")
