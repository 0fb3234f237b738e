"""A page that is open while a run goes on shows what has come, by itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

RUN = [
    sys.executable,
    "-m",
    "bench",
    "run",
    "--task",
    "mnist1d",
    "--samples",
    "8",
    "--device",
    "cpu",
    "--batch-size",
    "8",
    "--no-plots",
    "--metric",
    "drop",
]


def test_an_open_page_loads_itself_again_when_scores_have_come(browser: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    serve = [sys.executable, "-m", "bench", "serve", "--port", "0", "--out", str(tmp_path)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"http://127.0.0.1:\d+/", server.stdout.readline())
            assert address is not None
            troubles: list[str] = []
            tab = browser.new_context().new_page()
            tab.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
            tab.on("pageerror", lambda error: troubles.append(str(error)))
            tab.goto(f"{address[0]}#board/mnist1d")  # its place outlives the loading
            assert tab.locator("h1").inner_text() == "No scores yet"
            names = tab.locator("main .grid tbody th.first button.name")
            for methods in (["saliency", "random"], ["saliency", "random", "grad_cam"]):
                subprocess.run([*RUN, "--method", *methods, "--out", str(tmp_path)], check=True, capture_output=True)
                expect(names).to_have_count(len(methods), timeout=60_000)
                for name in methods:
                    expect(names.get_by_text(name, exact=True)).to_be_visible()
            assert troubles == []
            tab.close()
        finally:
            server.terminate()
