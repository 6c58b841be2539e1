"""S3's stand-in on loopback: takes what boto3 really sends, and checks what S3 would.

Signatures (AWS Signature Version 4) and checksums have to be right, or the request is refused.
Source: Amazon's "Authenticating Requests (AWS Signature Version 4)" and its S3 API reference.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

KEY_ID, SECRET, REGION, BUCKET = "AKIDSTANDIN", "stand-in-secret", "eu-central-1", "recordings"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), "
    r"SignedHeaders=(?P<headers>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)


class Refused(Exception):
    """What S3 answers an error to."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


@dataclass
class Bucket:
    """What lies in the bucket, and what was asked of it. locked: nobody may do anything."""

    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # method, key, range
    locked: bool = False
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self._serve()

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query, True).items()}
        try:
            self._check(url.path, url.query, body)
            _, bucket, key = unquote(url.path).split("/", 2)
            if bucket != BUCKET:
                raise Refused(404, "NoSuchBucket")
            self.bucket.asked.append((self.command, key, self.headers.get("Range", "")))
            if self.bucket.locked:
                raise Refused(403, "AccessDenied")
            self._act(key, query, body)
        except Refused as refused:
            text = f"<Error><Code>{refused.code}</Code></Error>"
            self._answer(refused.status, text.encode(), {"Content-Type": "application/xml"})

    def _act(self, key: str, query: Mapping[str, str], body: bytes) -> None:
        objects, uploads = self.bucket.objects, self.bucket.uploads
        match self.command:
            case "PUT" if "partNumber" in query:
                uploads[query["uploadId"]][int(query["partNumber"])] = body
                self._answer(200, b"", {"ETag": _etag(body)})
            case "PUT":
                objects[key] = body
                self._answer(200, b"", {"ETag": _etag(body)})
            case "POST" if "uploads" in query:
                uploads[key] = {}
                xml = f"<InitiateMultipartUploadResult><UploadId>{key}</UploadId>"
                self._answer(200, f"{xml}</InitiateMultipartUploadResult>".encode())
            case "POST" if "uploadId" in query:
                parts = uploads.pop(query["uploadId"])
                objects[key] = b"".join(parts[number] for number in sorted(parts))
                self._answer(200, b"<CompleteMultipartUploadResult/>")
            case "DELETE":
                objects.pop(key, None)
                self._answer(204, b"")
            case "GET" | "HEAD" if key in objects:
                self._give(objects[key])
            case _:
                raise Refused(404, "NoSuchKey")

    def _give(self, whole: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked is None:
            self._answer(200, whole, {"ETag": _etag(whole)})
            return
        first, last = int(asked[1]), min(int(asked[2]), len(whole) - 1)
        if first >= len(whole):
            raise Refused(416, "InvalidRange")
        span = f"bytes {first}-{last}/{len(whole)}"
        self._answer(206, whole[first : last + 1], {"ETag": _etag(whole), "Content-Range": span})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _check(self, path: str, query: str, body: bytes) -> None:
        found = _AUTHORIZATION.fullmatch(self.headers.get("Authorization", ""))
        if found is None or found["key"] != KEY_ID:
            raise Refused(403, "InvalidAccessKeyId")
        if not found["scope"].endswith(f"/{REGION}/s3/aws4_request"):
            raise Refused(400, "AuthorizationHeaderMalformed")
        hashed = self.headers["x-amz-content-sha256"]
        if hashed != hashlib.sha256(body).hexdigest():
            raise Refused(400, "XAmzContentSHA256Mismatch")
        crc = self.headers.get("x-amz-checksum-crc32")
        if crc and base64.b64decode(crc) != zlib.crc32(body).to_bytes(4, "big"):
            raise Refused(400, "BadDigest")
        names = found["headers"].split(";")
        canonical = "\n".join(
            [
                self.command,
                quote(unquote(path), safe="/~"),
                _canonical_query(query),
                *(f"{name}:{' '.join(self.headers[name].split())}" for name in names),
                "",
                found["headers"],
                hashed,
            ]
        )
        signature = _signature(self.headers["x-amz-date"], found["scope"], canonical)
        if not hmac.compare_digest(signature, found["signature"]):
            raise Refused(403, "SignatureDoesNotMatch")


def _canonical_query(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(sorted(f"{name}={value}" for name, _, value in pairs))


def _signature(date: str, scope: str, canonical: str) -> str:
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


class S3:
    """A served bucket, for a ``with``."""

    def __init__(self) -> None:
        self.bucket = Bucket()
        handler = type("Handler", (_Handler,), {"bucket": self.bucket})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.bucket.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Bucket:
        self._thread.start()
        return self.bucket

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
