"""Draws ``docs/review.webp``: the review page on the example documents, labelled by the shipped model on this machine.

python docs/review_picture.py
"""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PROJECT = Path(__file__).resolve().parents[1]
#: The documents to label: few are enough for a picture.
_INPUT = "examples/documents"
_SIZE = {"width": 1200, "height": 760}


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        # a short path of the documents, which the page shows
        shutil.copytree(PROJECT / "examples", Path(folder) / "examples")
        command = ["classify", _INPUT, "--task", "examples/task.yaml", "--model", "demo", "--job", "job"]
        subprocess.run([sys.executable, "-m", "thresher", *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        review = [sys.executable, "-m", "thresher", "review", "job", "--reviewer", "ada"]
        with subprocess.Popen(review, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            png = _shown(next(iter(server.stdout or ())).strip(), folder)
            server.send_signal(signal.SIGINT)
    Image.open(io.BytesIO(png)).save(PROJECT / "docs" / "review.webp", quality=80, method=6)


def _shown(address: str, folder: str) -> bytes:
    """The first doubtful document of which the model was wrong, after two decisions."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport=_SIZE)
        page.goto(address)
        page.wait_for_url(address.split("?")[0])
        for key in ("4", "Enter"):
            page.goto(address.split("?")[0] + "check", wait_until="load")
            with page.expect_navigation():
                page.keyboard.press(key)
        page.wait_for_load_state()
        # where the documents lie on this machine is nobody's business
        page.evaluate(
            "folder => { const place = document.querySelector('.source');"
            " place.textContent = place.textContent.split(folder)[1]; }",
            folder,
        )
        png = page.screenshot()
        browser.close()
        return png


if __name__ == "__main__":
    main()
