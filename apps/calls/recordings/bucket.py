"""Recordings in S3, or what speaks its protocol. Needs the extra ``s3``: django-storages, boto3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

from apps.calls.recordings.files import CHUNK


class RecordingsBucket(S3Storage):  # type: ignore[misc]
    """A bucket's objects, read in parts: a range is asked of S3 as a range.

    endpoint_url: of another service than Amazon's; its buckets are then taken for paths, not hosts.
    """

    def __init__(self, *, endpoint_url: str = "", **settings: Any) -> None:
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint_url else "auto"},
            connect_timeout=5,
            read_timeout=30,
            retries={"max_attempts": 3, "mode": "standard"},
        )
        super().__init__(endpoint_url=endpoint_url or None, client_config=config, **settings)

    def _save(self, name: str, content: Any) -> str:
        # Its own copies the whole once more, and leaves the copy behind when the upload fails.
        content.seek(0)
        self.bucket.upload_fileobj(
            content,
            self._normalize_name(name),
            ExtraArgs={"ContentType": "audio/wav"},
            Config=self.transfer_config,
        )
        return name

    def reading(self, name: str, first: int, size: int) -> Iterator[bytes]:
        key = self._normalize_name(name)
        body: Any = None
        try:
            found = self.bucket.Object(key).get(Range=f"bytes={first}-{first + size - 1}")
            body = found["Body"]
            yield from body.iter_chunks(CHUNK)
        except (BotoCoreError, ClientError) as exc:
            raise OSError(f"S3: {type(exc).__name__}") from exc
        finally:
            if body is not None:
                body.close()
