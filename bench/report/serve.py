"""A results folder in a browser, on this machine only: its page, which follows a run as it goes.

While scores arrive a page is made of them in a process of its own at the lowest priority, and for at most one part in ten of
the time, so that the run's costs stay what they are. It is kept beside the folder and not in it: what the run writes there at
its end is not overwritten. The open page is told through an event stream and loads itself again; it keeps its place, which is
in its address, and what the reader chose.
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
EVERY = 1.0  # seconds between two looks at the folder
PATIENCE = 10.0  # times that the last page took to make, before the next is made
ALIVE = 15.0  # seconds between two signs of life in an event stream, by which a closed page is noticed
CHANGES = "/changes"  # address of the event stream
LISTEN = f'new EventSource("{CHANGES}?%s").onmessage = () => location.reload();'
WAITING = """<!doctype html><html lang="en"><meta charset="utf-8"><title>bench</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ; style-src 'unsafe-inline'">
<style>body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 4rem auto; color-scheme: light dark }</style>
<h1>No scores yet</h1><p>%s holds nothing to show. The page appears here by itself once a run has written some:</p>
<pre>python -m bench run --all --out %s</pre>
</html>"""


class Watch:
    """Makes a page where scores are newer than the run's own. `version` changes with the page that is to be shown."""

    def __init__(self, out: Path, own: Path, plugins: Sequence[Path] = ()) -> None:
        """`own`: the file of the page that is made here."""
        self.out, self.own, self.plugins = out, own, plugins
        self.took, self.ended = 1.0, -float("inf")  # of the last page made here: seconds, and when it was done
        self.tried, self.shows = 0.0, 0.0  # the newest scores that a page was to be made of, and that one was

    @property
    def page(self) -> Path:
        """The run's, which it writes when all scores are there, unless newer ones have come."""
        theirs = self.out / NAME
        return self.own if self.own.is_file() and self.shows > _modified(theirs) else theirs

    @property
    def version(self) -> str:
        """Which page it is: one that was written anew and says the same is the same."""
        page = self.page
        return _digest(page, _modified(page))

    def look(self, now: float) -> bool:
        """Makes the page if that is due; says whether it did."""
        newest = max(map(_modified, self.out.glob("scores/task=*/method=*")), default=0.0)
        if newest <= max(self.tried, _modified(self.out / NAME)) or now - self.ended < PATIENCE * self.took:
            return False
        start, self.tried = time.monotonic(), newest
        command = [sys.executable, "-m", "bench", "report", "--out", str(self.out), "--page", str(self.own)]
        command += ["--plugins", *map(str, self.plugins)] if self.plugins else []
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=_stand_back)
        if not done.returncode:
            self.shows = newest
        else:
            why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            print(f"bench: no page could be made of {self.out}: {why}", file=sys.stderr)
        self.ended = time.monotonic()
        self.took = self.ended - start
        return not done.returncode

    def forever(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY):
            try:
                self.look(time.monotonic())
            except OSError as error:  # the folder has gone, say, and may come back
                print(f"bench: {error}", file=sys.stderr)


class Handler(SimpleHTTPRequestHandler):
    """Files of the results folder; `/` is the page, with a line that listens for changes."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: object, watch: Watch, stop: threading.Event, **settings: object) -> None:
        self.watch, self.stop = watch, stop
        super().__init__(*arguments, directory=str(watch.out), **settings)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if re.sub(r":\d+$", "", self.headers.get("Host", "")) not in (HOST, "localhost"):
            self.send_error(403, "only this machine is served")  # another site's name that leads here
        elif self.path.split("?")[0] in ("/", f"/{NAME}"):
            self._send_page()
        elif self.path.split("?")[0] == CHANGES:
            self._send_changes(self.path.partition("?")[2])
        else:
            super().do_GET()

    def do_HEAD(self) -> None:
        self.send_error(405)

    def log_message(self, *words: object) -> None:
        """Says nothing: the terminal belongs to the user."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def _send_page(self) -> None:
        path = self.watch.page
        where = html.escape(str(self.watch.out))
        text = path.read_text(encoding="utf-8") if path.is_file() else WAITING % (where, where)
        body = listening(text, _digest_of(text.encode()) if path.is_file() else "").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_changes(self, version: str) -> None:
        """Server-sent events: one each time the page is another than the version that the browser has."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        silent = 0.0
        try:
            while not self.stop.wait(EVERY / 2):
                silent += EVERY / 2
                if self.watch.version != version:
                    version, silent = self.watch.version, 0.0
                    self.wfile.write(b"data: changed\n\n")
                elif silent > ALIVE:
                    silent = 0.0
                    self.wfile.write(b": alive\n\n")
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            return  # the page was closed


def listening(text: str, version: str) -> str:
    """The page with a script that loads it again when there is another version, which its policy has to let in."""
    script = LISTEN % version
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = text.replace("script-src ", f"connect-src 'self'; script-src 'sha256-{digest}' ", 1)
    head, end, tail = text.rpartition("</html>")
    return f"{head}<script>{script}</script>{end}{tail}"


class Server(ThreadingHTTPServer):
    daemon_threads = True  # an open event stream does not keep the program
    folder: TemporaryDirectory[str]  # of the page that is made here

    def server_close(self) -> None:
        super().server_close()
        if hasattr(self, "folder"):  # it has none where the port was taken
            self.folder.cleanup()

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that hangs up is no error; others are told in a line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            print(f"bench: {type(error).__name__}: {error}", file=sys.stderr)


def start(out: Path, port: int, plugins: Sequence[Path] = ()) -> tuple[Server, threading.Event]:
    """A server on the loopback device and the event that ends its streams. `port` 0 takes any free one.

    Raises RequestError where the port is taken.
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
    server.folder = folder  # lives as long
    threading.Thread(target=watch.forever, args=(stop,), daemon=True).start()
    return server, stop


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


@lru_cache(maxsize=4)
def _digest(path: Path, written: float) -> str:
    return _digest_of(path.read_bytes()) if written else ""


def _digest_of(page: bytes) -> str:
    return hashlib.sha256(page).hexdigest()


def _stand_back() -> None:
    os.nice(19)
