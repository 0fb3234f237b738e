"""`serve`: the page on this machine only, updated while scores arrive."""

from __future__ import annotations

import http.client
import os
import select
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pages
import pytest

from bench import page
from bench.cli.main import main
from bench.core.errors import RequestError
from bench.report import serve

pytestmark = pytest.mark.usefixtures("registries_as_before")


@pytest.fixture
def out(run_for_pages: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_for_pages, tmp_path / "results"))


@pytest.fixture
def port(out: Path) -> Iterator[int]:
    server, stop = serve.start(out, 0)
    server.timeout = 1
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_port
    stop.set()
    server.shutdown()
    server.server_close()
    thread.join()


def get(port: int, path: str, **headers: str) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection(serve.HOST, port, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def watching(out: Path) -> serve.Watch:
    """A watch that writes its page beside the folder."""
    return serve.Watch(out, out.parent / "live.html")


def touched(out: Path, *, seconds: float) -> None:
    """Sets the time of the newest scores, in seconds from now."""
    folder = next(out.glob("scores/task=*/method=*"))
    when = time.time() + seconds
    os.utime(folder, (when, when))


def test_the_page_listens_and_is_otherwise_the_file(out, port):
    answer, text = get(port, "/")
    assert answer.status == 200
    written = (out / page.NAME).read_text(encoding="utf-8")
    version = watching(out).version
    assert text == serve.with_reload(written, version)
    assert text.count(f"<script>{serve.RELOAD % version}</script>") == 1
    assert "connect-src 'self'; script-src 'sha256-" in text
    assert "EventSource" not in written


def test_files_of_the_results_folder_are_served_and_nothing_else(out, port):
    answer, text = get(port, "/leaderboard.csv")
    assert (answer.status, text.split(",")[0]) == (200, "task")
    (out.parent / pages.PLUGIN_FILE).touch()
    for path in (f"/../{pages.PLUGIN_FILE}", f"/%2e%2e/{pages.PLUGIN_FILE}", "/nowhere"):
        assert get(port, path)[0].status == 404


def test_host_names_of_other_sites_are_refused(port):
    for host in ("evil.example", "localhost.evil.example", "evil.example:80", ""):
        assert get(port, "/", Host=host)[0].status == 403
    assert get(port, "/", Host=f"localhost:{port}")[0].status == 200


def test_it_listens_on_the_loopback_interface_only(out):
    server, stop = serve.start(out, 0)
    try:
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(RequestError, match=f"port {server.server_port} cannot be used .*--port"):
            serve.start(out, server.server_port)
    finally:
        stop.set()
        server.server_close()


def test_before_the_first_scores_the_page_says_so(tmp_path):
    text = serve.with_reload(serve.WAITING % (tmp_path, tmp_path), "")
    assert "No scores yet" in text
    assert serve.RELOAD % "" in text
    assert not watching(tmp_path).update(time.monotonic())


def test_an_open_page_is_notified_when_the_file_changes(out, port):
    connection = http.client.HTTPConnection(serve.HOST, port, timeout=30)
    connection.request("GET", f"{serve.CHANGES}?{watching(out).version}")
    listening = connection.sock
    stream = connection.getresponse()
    assert stream.headers["Content-Type"] == "text/event-stream"
    os.utime(out / page.NAME, (time.time() + 5,) * 2)  # rewritten with the same contents
    assert not select.select([listening], [], [], 3 * serve.POLL)[0]
    (out / page.NAME).write_text("another page", encoding="utf-8")
    assert stream.readline() == b"data: changed\n"
    assert stream.readline() == b"\n"
    stream.close()
    connection.close()


def test_a_page_that_changed_before_it_listened_is_notified_at_once(port):
    connection = http.client.HTTPConnection(serve.HOST, port, timeout=30)
    connection.request("GET", f"{serve.CHANGES}?an-older-page")
    stream = connection.getresponse()
    assert stream.readline() == b"data: changed\n"
    stream.close()
    connection.close()


def test_a_browser_that_hangs_up_and_odd_hosts_are_no_errors(port, capfd):
    with socket.create_connection((serve.HOST, port)) as rude:
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, in the middle
        rude.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert get(port, "/", Host="[x")[0].status == 403
    time.sleep(0.3)
    assert capfd.readouterr().err == ""


def test_the_page_that_a_run_writes_at_its_end_is_not_written_again(out):
    watch = watching(out)
    touched(out, seconds=5)
    os.utime(out / page.NAME, (time.time() + 6,) * 2)
    assert not watch.update(time.monotonic())


def test_a_page_is_written_beside_the_folder_when_scores_are_newer_with_a_pause(out):
    watch, of_run = watching(out), out / page.NAME
    assert not watch.update(time.monotonic())  # the page of the run is as new as the scores
    assert watch.page == of_run
    (out / "leaderboard.csv").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    touched(out, seconds=5)
    assert watch.update(time.monotonic())
    assert watch.page == watch.live
    assert "Attribution benchmark" in watch.live.read_text(encoding="utf-8")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
    touched(out, seconds=10)
    assert not watch.update(time.monotonic())  # the pause is not over
    assert watch.update(watch.finished + serve.PAUSE * watch.duration + 1)
    os.utime(of_run, (time.time() + 11,) * 2)  # the run has ended and written its page
    assert watch.page == of_run


def test_scores_that_cannot_be_read_are_reported_once(out, capsys):
    path = next(out.glob("scores/task=*/method=*/*.parquet"))
    path.write_bytes(b"torn")
    watch = watching(out)
    touched(out, seconds=5)
    assert not watch.update(time.monotonic())
    assert f"{path} cannot be read" in capsys.readouterr().err
    assert not watch.update(watch.finished + serve.PAUSE * watch.duration + 1)
    assert capsys.readouterr().err == ""


def test_report_without_plots(out):
    assert not (out / "plots").exists()
    (out / page.NAME).unlink()
    assert main(["report", "--no-plots", "--out", str(out)]) == 0
    assert (out / page.NAME).is_file()
    assert not (out / "plots").exists()


def test_report_of_the_page_alone(out, tmp_path):
    (out / page.NAME).unlink()
    path = tmp_path / "elsewhere.html"
    assert main(["report", "--page", str(path), "--out", str(out)]) == 0
    assert "Attribution benchmark" in path.read_text(encoding="utf-8")
    assert not (out / page.NAME).exists()
    assert main(["report", "--page", str(tmp_path), "--out", str(out)]) == 2
