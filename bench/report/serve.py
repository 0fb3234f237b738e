"""Serves the page of a results folder on this machine, and updates it during a run.

When new scores arrive, a separate process of the lowest priority writes a new page, at most a tenth of the time, so that
the measured costs of the run stay the same. That page is written outside the results folder, so that nothing there is
overwritten. The open page receives an event and reloads; the address and the session storage keep the view and the
settings of the reader.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import lru_cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.core.errors import RequestError
from bench.page import NAME

HOST = "127.0.0.1"
POLL = 1.0  # seconds between two checks of the folder
PAUSE = 10.0  # between two pages, as a multiple of the time that the last one took
KEEP_ALIVE = 15.0  # seconds between two comments in an event stream, by which a closed connection is noticed
CHANGES = "/changes"  # address of the event stream
RELOAD = f'new EventSource("{CHANGES}?%s").onmessage = () => location.reload();'
WAITING = """<!doctype html><html lang="en"><meta charset="utf-8"><title>bench</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ; style-src 'unsafe-inline'">
<style>body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 4rem auto; color-scheme: light dark }</style>
<h1>No scores yet</h1><p>There are no scores in %s. This page updates when a run has written some:</p>
<pre>python -m bench run --all --out %s</pre>
</html>"""


class Watch:
    """Writes a page of its own when there are scores that the page of the run does not show."""

    def __init__(self, out: Path, live: Path, plugins: Sequence[Path] = ()) -> None:
        """`live`: the path of the page that is written here."""
        self.out, self.live, self.plugins = out, live, plugins
        self.duration, self.finished = 1.0, -float("inf")  # of the last page written here, in seconds
        self.attempted, self.shown = 0.0, 0.0  # time of the newest scores that a page was tried for, and that one shows

    @property
    def page(self) -> Path:
        """The page of the run, or the one written here if that shows newer scores."""
        of_run = self.out / NAME
        return self.live if self.live.is_file() and self.shown > _modified(of_run) else of_run

    @property
    def version(self) -> str:
        """A hash of the contents: a page written again without a change has the same version."""
        page = self.page
        return _digest(page, _modified(page))

    def update(self, now: float) -> bool:
        """Writes a page if there are newer scores and the pause is over; returns whether it did."""
        newest = max(map(_modified, self.out.glob("scores/task=*/method=*")), default=0.0)
        if newest <= max(self.attempted, _modified(self.out / NAME)) or now - self.finished < PAUSE * self.duration:
            return False
        start, self.attempted = time.monotonic(), newest
        command = [sys.executable, "-m", "bench", "report", "--out", str(self.out), "--page", str(self.live)]
        command += ["--plugins", *map(str, self.plugins)] if self.plugins else []
        result = subprocess.run(command, capture_output=True, text=True, preexec_fn=_lowest_priority)
        if not result.returncode:
            self.shown = newest
        else:
            reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
            print(f"bench: cannot write a page for {self.out}: {reason}", file=sys.stderr)
        self.finished = time.monotonic()
        self.duration = self.finished - start
        return not result.returncode

    def run(self, stop: threading.Event) -> None:
        """Updates the page until `stop` is set."""
        while not stop.wait(POLL):
            try:
                self.update(time.monotonic())
            except OSError as error:  # such as a folder that was moved and may come back
                print(f"bench: {error}", file=sys.stderr)


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of the results folder; `/` is the page, with a script that listens for changes."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: object, watch: Watch, stop: threading.Event, **settings: object) -> None:
        self.watch, self.stop = watch, stop
        super().__init__(*arguments, directory=str(watch.out), **settings)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if re.sub(r":\d+$", "", self.headers.get("Host", "")) not in (HOST, "localhost"):
            self.send_error(
                403, "requests from this machine only"
            )  # a host name of another site may resolve to this address
        elif self.path.split("?")[0] in ("/", f"/{NAME}"):
            self._send_page()
        elif self.path.split("?")[0] == CHANGES:
            self._send_changes(self.path.partition("?")[2])
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        self.send_error(405)

    def log_message(self, *words: object) -> None:
        """Logs nothing."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def _send_page(self) -> None:
        path = self.watch.page
        folder = html.escape(str(self.watch.out))
        text = path.read_text(encoding="utf-8") if path.is_file() else WAITING % (folder, folder)
        body = with_reload(text, _digest_of(text.encode()) if path.is_file() else "").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_changes(self, version: str) -> None:
        """Sends a server-sent event whenever the page differs from the version that the browser has."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        idle = 0.0
        try:
            while not self.stop.wait(POLL / 2):
                idle += POLL / 2
                if self.watch.version != version:
                    version, idle = self.watch.version, 0.0
                    self.wfile.write(b"data: changed\n\n")
                elif idle > KEEP_ALIVE:
                    idle = 0.0
                    self.wfile.write(b": alive\n\n")
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            return  # the page was closed


def with_reload(text: str, version: str) -> str:
    """The page with a script that reloads it when there is another version, and a policy that allows the script."""
    script = RELOAD % version
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = text.replace("script-src ", f"connect-src 'self'; script-src 'sha256-{digest}' ", 1)
    head, end, tail = text.rpartition("</html>")
    return f"{head}<script>{script}</script>{end}{tail}"


class Server(ThreadingHTTPServer):
    daemon_threads = True  # an open event stream does not keep the program running
    folder: TemporaryDirectory[str]  # of the live page

    def server_close(self) -> None:
        super().server_close()
        if hasattr(self, "folder"):  # not set if the port was in use
            self.folder.cleanup()

    def handle_error(self, request: object, client_address: object) -> None:
        """Prints errors in one line; a connection that the browser closes is none."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            print(f"bench: {type(error).__name__}: {error}", file=sys.stderr)


def start(out: Path, port: int, plugins: Sequence[Path] = ()) -> tuple[Server, threading.Event]:
    """A server on the loopback interface and the event that ends its streams; port 0 means any free port.

    Raises RequestError if the port cannot be used.
    """
    folder = TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
    stop, watch = threading.Event(), Watch(out, Path(folder.name, NAME), plugins)
    try:
        server = Server((HOST, port), partial(Handler, watch=watch, stop=stop))
    except OSError as error:
        folder.cleanup()
        raise RequestError(
            f"port {port} cannot be used ({error.strerror}); choose another with --port, or 0 for any free one"
        ) from error
    server.folder = folder  # removed with the server
    threading.Thread(target=watch.run, args=(stop,), daemon=True).start()
    return server, stop


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


@lru_cache(maxsize=4)
def _digest(path: Path, modified: float) -> str:
    """Of the file as it was at that time; empty if there is none."""
    return _digest_of(path.read_bytes()) if modified else ""


def _digest_of(page: bytes) -> str:
    return hashlib.sha256(page).hexdigest()


def _lowest_priority() -> None:
    os.nice(19)
