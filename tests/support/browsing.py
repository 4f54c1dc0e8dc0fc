"""Chromium at a page of a test's own, which posts what it finds."""

import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.streams import program


@contextmanager
def browsing(
    page: str,
    folder: Path,
    *,
    documents: Mapping[str, tuple[str, bytes]] | None = None,
    files: Path | None = None,
) -> Iterator[dict[str, bytes]]:
    """Chromium at a page, with sound that goes nowhere; gives what it posts.

    Args:
        page: HTML.
        folder: for the browser's own files.
        documents: media type and body of what else the server of the page has, by path.
        files: folder of what else it has.

    Yields:
        bodies by the path to which they were posted.
    """
    posted: dict[str, bytes] = {}
    known = {"/": ("text/html", page.encode()), **(documents or {})}

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(files or folder))

        def do_GET(self) -> None:
            if self.path not in known:
                super().do_GET()
                return
            kind, body = known[self.path]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            posted[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [
            *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu"),
            *("--disable-audio-output", f"--user-data-dir={folder / 'profile'}"),
            "--autoplay-policy=no-user-gesture-required",
            f"http://127.0.0.1:{server.server_port}/",
        ]
        try:
            with program(command, folder / "chromium.log"):
                yield posted
        finally:
            server.shutdown()
