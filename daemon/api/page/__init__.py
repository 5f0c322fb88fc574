"""The first page: three files without a framework, and the headers that let nothing else into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page, in this package."""

    name: str
    content_type: str

    def body(self) -> bytes:
        return files(__name__).joinpath(self.name).read_bytes()


ROUTES: Mapping[str, PageFile] = {
    "/": PageFile("index.html", "text/html"),
    "/page.css": PageFile("page.css", "text/css"),
    "/page.js": PageFile("page.js", "text/javascript"),
}
"""Where the page expects its files; `index.html` refers to them, and to `api/v1/report`, relative to itself."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""To be sent with each of them. No inline script or style and nothing from elsewhere will run."""
