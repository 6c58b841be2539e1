"""Static files out of the packages themselves, compressed once, without a build step.

WhiteNoise serves a compressed file that lies beside a file; nothing may be written into packages,
so ours lie in ``var/static``, made at a start where they are missing.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

COMPRESSED = (".css", ".js", ".svg", ".json", ".txt")
# Less is one packet anyway.
SMALLEST = 1_000
_FOUND: dict[str, StaticFile] = {}


class StaticMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise, with compressed files in a folder of their own."""

    def add_files_from_finders(self) -> None:
        """Look for them once in a process: there is a middleware to each of Django's handlers, and
        every client of a test has one; a walk takes 55 ms."""
        if not _FOUND:
            super().add_files_from_finders()
            _FOUND.update(self.files)
        self.files.update(_FOUND)

    def get_static_file(self, path: str, url: str, stat_cache: Any = None) -> StaticFile:
        packed = _packed(path)
        if packed is None:
            return super().get_static_file(path, url, stat_cache)
        headers = Headers([])
        self.add_mime_headers(headers, path, url)
        self.add_cache_headers(headers, path, url)
        # The cache of what files there are knows nothing of ours.
        return StaticFile(path, headers.items(), encodings={"gzip": str(packed)})

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        """Answer with the file as a whole: they are small, and a stream of one needs a thread."""
        found = static_file.get_response(request.method, request.META)
        content = b""
        if found.file is not None:
            with found.file:
                content = found.file.read()
        response = HttpResponse(content, status=int(found.status))
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        return response


def _packed(path: str) -> Path | None:
    """Return the compressed copy of a file; None if there is none, or none can be written."""
    if not path.endswith(COMPRESSED):
        return None
    try:
        state = os.stat(path)
        if state.st_size < SMALLEST:
            return None
        name = f"{path}\n{state.st_size}\n{state.st_mtime_ns}"
        folder = Path(settings.BASE_DIR) / "var" / "static"
        target = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.gz"
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _write(target, gzip.compress(Path(path).read_bytes(), 9, mtime=0))
        return target
    except OSError:  # a read-only file system: it is served as it is
        return None


def _write(target: Path, content: bytes) -> None:
    # Processes that start at once write the same; each sees a whole file or none.
    handle, name = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(name, target)
