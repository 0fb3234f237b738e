"""Where files come from: archives that lie, downloads that break, images that are not what they should be."""

from __future__ import annotations

import hashlib
import random
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import BenchError, DataMissing
from bench.core.random import numpy_state_kept
from bench.task_tools.data import Data, Download, cache, extract, fetch, interleaved, read_rgb

MEMBERS = {"tiles/01_TUMOR/a.txt": "tumour", "tiles/02_STROMA/b.txt": "stroma" * 500, "readme.txt": "read me"}


def make_zip(path: Path, members: dict[str, str] = MEMBERS) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, text in members.items():
            zipped.writestr(name, text)
    return path


def content(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def everything(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


# --- archives


def test_a_good_zip_is_unpacked_whole(tmp_path):
    extract(make_zip(tmp_path / "good.zip"), tmp_path / "deep" / "target")
    assert content(tmp_path / "deep" / "target") == MEMBERS
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["target"]


def test_what_a_killed_run_left_is_swept_away(tmp_path):
    (tmp_path / "target.part").mkdir()
    (tmp_path / "target.part" / "half.txt").write_text("ha")
    extract(make_zip(tmp_path / "good.zip"), tmp_path / "target")
    assert content(tmp_path / "target") == MEMBERS


@pytest.mark.parametrize(
    "name", ["../outside.txt", "tiles/../../outside.txt", "/outside.txt", "{tmp}/outside.txt", "../target.partner/x"]
)
def test_a_member_that_leaves_the_folder_is_refused(tmp_path, name):
    name = name.format(tmp=tmp_path.as_posix())
    archive = make_zip(tmp_path / "slip.zip", {"fine.txt": "fine", name: "evil"})
    with pytest.raises(BenchError, match=r"slip\.zip: '.*' points outside the archive; nothing was unpacked"):
        extract(archive, tmp_path / "target")
    assert everything(tmp_path) == ["slip.zip"]
    assert not (tmp_path.parent / "outside.txt").exists()
    assert not Path("/outside.txt").exists()


def test_a_link_is_refused(tmp_path):
    archive = make_zip(tmp_path / "link.zip")
    with zipfile.ZipFile(archive, "a") as zipped:
        link = zipfile.ZipInfo("tiles/link")
        link.create_system = 3  # Unix
        link.external_attr = 0o120777 << 16
        zipped.writestr(link, str(tmp_path))
    with pytest.raises(BenchError, match=r"link\.zip: 'tiles/link'"):
        extract(archive, tmp_path / "target")
    assert everything(tmp_path) == ["link.zip"]


@pytest.mark.parametrize("kept", [0, 10, 0.5, -1], ids=["empty", "ten bytes", "half", "all but a byte"])
def test_a_truncated_zip_is_named(tmp_path, kept):
    archive = make_zip(tmp_path / "cut.zip")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else kept])
    with pytest.raises(BenchError, match=r"cut\.zip is not a complete zip file"):
        extract(archive, tmp_path / "target")
    assert everything(tmp_path) == ["cut.zip"]


def test_a_zip_that_rotted_inside_is_named_wherever_the_damage_is(tmp_path):
    """Damage shows as a wrong checksum, or as nonsense to the decompressor, which raises zlib.error."""
    rng = random.Random(0)
    text = " ".join(str(rng.random()) for _ in range(50))
    archive = make_zip(tmp_path / "rotten.zip", {"a.txt": text})
    whole = archive.read_bytes()
    start = 30 + len("a.txt")  # local header: 30 bytes and the name
    for place in range(start, start + 60):
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(BenchError, match=r"rotten\.zip is not a complete zip file"):
            extract(archive, tmp_path / "target")
        assert everything(tmp_path) == ["rotten.zip"]


# --- downloads


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty cache; requests to this machine go past any proxy."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    with Server(make_zip(tmp_path / "served.zip").read_bytes()) as running:
        yield running


class Server:
    """Serves one zip on loopback under any name; `missing.zip` is not there, and `short.zip` breaks off half-way."""

    def __init__(self, payload: bytes) -> None:
        self.payload, self.asked = payload, 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                self.send_response(404 if "missing" in self.path else 200)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload[: len(payload) // 2] if "short" in self.path else payload)

            def log_message(self, *_: object) -> None: ...

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def download(self, name: str = "tiles.zip", sha256: str | None = None) -> Download:
        known = sha256 or hashlib.sha256(self.payload).hexdigest()
        return Download(f"http://127.0.0.1:{self._http.server_port}/{name}?download=1", known, 1, "CC0")


def test_a_download_lands_in_the_cache_and_is_asked_for_once(here, server, capfd):
    folder = fetch(server.download(), "tiles")
    assert folder == here / "tiles" == cache() / "tiles"
    assert content(folder) == MEMBERS
    assert [p.name for p in here.iterdir()] == ["tiles"]
    assert "100%" in capfd.readouterr().err  # the progress bar

    assert fetch(server.download(), "tiles") == folder
    assert fetch(server.download(), "tiles", offline=True) == folder
    assert server.asked == 1


def test_a_corrupt_download_says_so_and_leaves_nothing(here, server):
    said = r"tiles: the file from http.*tiles\.zip.* is incomplete or changed \(its sha256 differs\)"
    with pytest.raises(BenchError, match=said) as raised:
        fetch(server.download(sha256="0" * 64), "tiles")
    assert not isinstance(raised.value, DataMissing)  # a failure, and not a task to be skipped
    assert everything(here) == []

    assert content(fetch(server.download(), "tiles")) == MEMBERS  # the next try succeeds


@pytest.mark.parametrize("name", ["missing.zip", "short.zip"])
def test_a_download_that_fails_is_missing_data_and_leaves_nothing(here, server, name):
    with pytest.raises(DataMissing, match=f"tiles cannot be downloaded: http.*{name}.* is not reachable"):
        fetch(server.download(name), "tiles")
    assert everything(here) == []


def test_no_network_is_missing_data(here):
    with Server(b"") as closed:
        download = closed.download()
    with pytest.raises(DataMissing, match=r"tiles cannot be downloaded: http.* is not reachable \(ConnectionError\)"):
        fetch(download, "tiles")
    assert everything(here) == []


def test_offline_asks_nobody(here, server):
    with pytest.raises(DataMissing, match=r"tiles is not on this machine, and downloads are off \(--offline\)"):
        fetch(server.download(), "tiles", offline=True)
    assert server.asked == 0
    assert not here.exists()


def test_the_users_folder_comes_before_the_cache(here, tmp_path):
    assert list(Data(tmp_path / "own").places("hmt")) == [tmp_path / "own" / "hmt", tmp_path / "own", here / "hmt"]
    assert list(Data().places("hmt")) == [here / "hmt"]


# --- images


def image(path: Path, height: int = 20, width: int = 30, mode: str = "RGB") -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.mark.parametrize("kind", ["png", "tif", "webp"])
def test_pixels_arrive_as_they_are_stored(tmp_path, kind):
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"tile.{kind}", **({"lossless": True} if kind == "webp" else {}))
    read = read_rgb(tmp_path / f"tile.{kind}", (20, 30), (20, 30))
    assert read.dtype == np.uint8
    assert (read == pixels).all()


# Pillow warns of the torn TIFF directory before it raises; the error is what counts.
@pytest.mark.filterwarnings("ignore:(Truncated File Read|Corrupt EXIF data):UserWarning:PIL")
@pytest.mark.parametrize("kind", ["png", "tif", "webp"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_image_is_named(tmp_path, kind, share):
    path = image(tmp_path / f"tile.{kind}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BenchError, match=rf"tile\.{kind} is not a complete image"):
        read_rgb(path, (20, 30), (20, 30))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_an_image_that_is_not_rgb_is_named(tmp_path, mode):
    with pytest.raises(BenchError, match=rf"tile\.png: the image has mode {mode}; RGB is needed"):
        read_rgb(image(tmp_path / "tile.png", mode=mode), (20, 30), (20, 30))


def test_an_image_of_another_size_is_named(tmp_path):
    with pytest.raises(BenchError, match=r"tile\.png: the image has 30x20 pixels; 20x30 are needed"):
        read_rgb(image(tmp_path / "tile.png", height=20, width=30), (30, 20), (30, 20))


def test_text_is_not_an_image(tmp_path):
    (tmp_path / "tile.png").write_text("no pixels here")
    with pytest.raises(BenchError, match=r"tile\.png is not a complete image"):
        read_rgb(tmp_path / "tile.png", (20, 30), (20, 30))


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(BenchError, match=r"tile\.png.*No such file"):
        read_rgb(tmp_path / "tile.png", (20, 30), (20, 30))


def test_resizing_is_pillows_bilinear_filter(tmp_path):
    path = image(tmp_path / "tile.png", height=20, width=30)
    with Image.open(path) as stored:
        wanted = np.asarray(stored.resize((45, 17), Image.Resampling.BILINEAR))
    read = read_rgb(path, (17, 45), (20, 30))
    assert read.shape == (17, 45, 3)
    assert (read == wanted).all()


def test_resizing_worked_by_hand(tmp_path):
    """Two pixels made four: centres lie at -1/4, 1/4, 3/4 and 5/4 of the way from the first to the second."""
    Image.fromarray(np.array([[[0] * 3, [100] * 3]], dtype=np.uint8)).save(tmp_path / "two.png")
    assert read_rgb(tmp_path / "two.png", (1, 4), (1, 2))[0, :, 0].tolist() == [0, 25, 75, 100]
    assert read_rgb(tmp_path / "two.png", (1, 1), (1, 2)).tolist() == [[[50, 50, 50]]]


# --- order and random state


def test_interleaved_takes_the_classes_in_turn():
    #        rows: 0  1  2  3  4  5
    assert interleaved([0, 0, 1, 1, 0, 2]) == [0, 2, 5, 1, 3, 4]
    assert interleaved([2, 1, 0]) == [2, 1, 0]
    assert interleaved([]) == []


def test_random_states_are_put_back_even_when_the_block_raises():
    def reseed_and_raise() -> None:
        random.seed(7)
        np.random.seed(7)
        raise KeyError

    random.seed(1)
    np.random.seed(1)
    wanted = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    with pytest.raises(KeyError), numpy_state_kept():
        reseed_and_raise()
    assert (random.random(), np.random.rand()) == wanted
