"""Vendors' SDKs, by the modules that nobody imports who does not use them."""

from __future__ import annotations

SDKS = frozenset({"openai", "anthropic", "aiobotocore", "botocore", "google.cloud", "grpc"})
