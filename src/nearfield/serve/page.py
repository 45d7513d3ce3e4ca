"""The web page: static files of the package, which ask this server alone."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Response

_FILES = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    # nothing but these files runs, whatever a text says; a cell's colour is a style of its own, and
    # an image that is found comes with the answer
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def add_page(app: FastAPI, files: Path = _FILES) -> None:
    """Serve the page in the folder `files` at `/`, and what it takes below `/page`."""

    def add(path: str, file: Path) -> None:
        @app.get(path, include_in_schema=False)
        async def found() -> Response:
            kind = f"{_TYPES[file.suffix]}; charset=utf-8"
            return Response(file.read_bytes(), media_type=kind, headers=_HEADERS)

    add("/", files / "index.html")
    for file in sorted(files.iterdir()):
        add(f"/page/{file.name}", file)
