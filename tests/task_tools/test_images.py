"""Images of any mode and size become what timm's own pipeline makes of them; masks go the same way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import ImageDataset, create_transform

from bench.core.errors import RequestError
from bench.task_tools import image_files, images

# timm's data set leaves it to the garbage collector to close its files
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
IMAGENET = {"input_size": (3, 16, 16), "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
TRANSFORM = create_transform(**IMAGENET, interpolation="bicubic", crop_pct=0.9, is_training=False)


def photo(height: int = 20, width: int = 30, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L"))


def save(image: Image.Image, path: Path, **how: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)
    return path


@pytest.mark.parametrize(
    ("mode", "suffix", "kinds"),
    [
        ("RGB", "png", []),
        ("RGB", "jpg", []),
        ("L", "png", ["grey"]),
        ("1", "png", ["black and white"]),
        ("P", "png", ["palette"]),
        ("LA", "png", ["grey", images.ALPHA]),
        ("RGBA", "png", [images.ALPHA]),
        ("CMYK", "jpg", ["CMYK"]),
        ("CMYK", "tif", ["CMYK"]),
        ("RGB", "webp", []),
        ("RGB", "bmp", []),
    ],
)
def test_every_mode_becomes_what_timm_s_data_set_makes_of_it(tmp_path, mode, suffix, kinds):
    path = save(photo().convert(mode), tmp_path / "class" / f"a.{suffix}")
    image, converted = images.opened(path)
    expected, _ = (
        ImageDataset(str(path.parent.parent), reader=None, transform=TRANSFORM)[0]
        if suffix in ("png", "jpg")
        else (
            TRANSFORM(Image.open(path).convert("RGB")),
            0,
        )
    )
    assert converted == kinds
    torch.testing.assert_close(TRANSFORM(image), expected, rtol=0, atol=0)


def test_transparency_is_dropped_not_blended(tmp_path):
    clear = photo()
    clear.putalpha(0)
    image, _ = images.opened(save(clear, tmp_path / "a.png"))
    assert np.array_equal(np.asarray(image), np.asarray(photo()))


def test_sixteen_bits_are_scaled_to_eight_not_clipped(tmp_path):
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    image, kinds = images.opened(save(Image.fromarray(values), tmp_path / "a.png"))
    assert kinds == [images.DEEP]
    assert np.array_equal(np.asarray(image)[..., 1], np.arange(256).reshape(16, 16))


def test_an_image_is_turned_as_its_exif_data_say(tmp_path):
    exif = Image.Exif()
    exif[images.EXIF_ORIENTATION] = 6  # the top of the scene is on the right
    path = save(photo(), tmp_path / "a.png", exif=exif)
    image, kinds = images.opened(path)
    assert kinds == [images.TURNED]
    assert np.array_equal(np.asarray(image), np.rot90(np.asarray(photo()), -1))


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    path = save(frames[0], tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    image, kinds = images.opened(path)
    assert kinds == [images.FRAMES]
    assert image.getpixel((4, 4)) == (255, 0, 0)


def test_floating_point_images_have_no_range(tmp_path):
    for values in (np.zeros((4, 4), dtype=np.float32), np.full((4, 4), 70_000, dtype=np.int32)):
        save(Image.fromarray(values), tmp_path / "a.tif")
        listing = image_files.listed(tmp_path)
        with pytest.raises(RequestError, match="none of its 1 images can be read"):
            images.first_input(listing, ["a.tif"], TRANSFORM)


def test_what_was_converted_is_one_sentence(tmp_path):
    for name, mode in {"a": "RGB", "b": "L", "c": "L", "d": "CMYK"}.items():
        save(photo().convert(mode), tmp_path / f"{name}.tif")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden").write_text("")
    listing = image_files.listed(tmp_path)
    inputs, notes = images.read(listing, listing.first(None), TRANSFORM)
    assert inputs.shape == (4, 3, 16, 16)
    assert notes == [
        "3 of 4 images were converted to RGB: 2 grey, 1 CMYK",
        f"1 file is no image in {tmp_path}: notes.txt",
    ]


def test_all_damaged_files_are_named(tmp_path):
    for name in "abc":
        save(photo(), tmp_path / f"{name}.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.png").write_bytes(b"")
    listing = image_files.listed(tmp_path)
    with pytest.raises(RequestError, match=r"2 of 3 images cannot be read: a\.png, c\.png \("):
        images.read(listing, listing.first(None), TRANSFORM)


def test_every_prefix_is_balanced_over_the_classes(tmp_path):
    for name in ("cat/a.png", "cat/b.png", "cat/c.png", "dog/d.PNG", "dog/e.png"):
        save(photo(), tmp_path / name)
    listing = image_files.listed(tmp_path)
    assert listing.first(None) == ["cat/a.png", "dog/d.PNG", "cat/b.png", "dog/e.png", "cat/c.png"]
    assert listing.first(2) == ["cat/a.png", "dog/d.PNG"]
    assert listing.labels == {name: name[:3] for name in listing.files}


def test_a_csv_chooses_files_and_classes(tmp_path):
    for name in ("a.png", "b.png", "deep/er/c.png"):
        save(photo(), tmp_path / name)
    table = tmp_path / "labels.csv"
    table.write_text("\ufefflabel,file,extra\ncat,a.png,1\ndog,deep/er/c.png,2\n", encoding="utf-8")
    assert image_files.listed(tmp_path, table).labels == {"a.png": "cat", "deep/er/c.png": "dog"}


def test_pixels_of_a_transform_that_normalises_have_the_mean_colour_as_baseline():
    pixels = images.pixels(TRANSFORM, (16, 16))
    mean, std = torch.tensor(IMAGENET["mean"]), torch.tensor(IMAGENET["std"])
    assert pixels.baseline().tolist() == [0, 0, 0]
    torch.testing.assert_close(pixels.bounds().flatten(1), torch.stack([-mean / std, (1 - mean) / std]))


def test_pixels_from_0_to_1_have_grey_as_baseline_and_a_standardised_image_has_none():
    def plain(image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(image, dtype=np.float32).copy()).permute(2, 0, 1) / 255

    pixels = images.pixels(plain, (16, 16))
    assert pixels.baseline().tolist() == [0.5, 0.5, 0.5]
    assert images.pixels(lambda image: 1 - plain(image), (16, 16)).bounds().flatten(1).tolist() == [[0] * 3, [1] * 3]
    assert images.pixels(lambda image: plain(image) - plain(image).mean(), (16, 16)) is None


@pytest.mark.parametrize("value", [1, 200, 255])
def test_masks_go_through_the_geometry_of_the_images(tmp_path, value):
    """A white square on black, and its mask: after resizing and cropping they still agree."""
    square = np.zeros((40, 60), dtype=np.uint8)
    square[10:30, 25:45] = 1
    save(Image.fromarray(square * 255).convert("RGB"), tmp_path / "images" / "cat" / "a.bmp")
    save(Image.fromarray(square * value), tmp_path / "masks" / "cat" / "a.png")
    listing = image_files.listed(tmp_path / "images")
    pixels = images.pixels(TRANSFORM, (16, 16))
    truth = images.masks(tmp_path / "masks", listing, ["cat/a.bmp"], TRANSFORM, pixels)
    inputs, _ = images.read(listing, ["cat/a.bmp"], TRANSFORM)
    assert truth.shape == (1, 16, 16)
    assert torch.equal(truth, inputs.mean(1) > pixels.bounds().mean((0, 1)).item())
    assert 0.15 < truth.float().mean() < 0.35  # 20 x 20 of 40 x 40 pixels that are left, a little more after the crop


def test_transforms_of_torchvision_s_second_kind_are_read(tmp_path):
    from torchvision.transforms import v2

    newer = v2.Compose([v2.ToImage(), v2.Resize((16, 16)), v2.ToDtype(torch.float32, scale=True)])
    values = images.transformed(newer, photo(), "a")
    assert type(values) is torch.Tensor
    assert values.shape == (3, 16, 16)
