"""Loaded by pytest before Django: tests see this environment and no .env file.

DATABASE_URL and REDIS_URL pass through, so the same suite runs on PostgreSQL and Redis.
"""

from __future__ import annotations

import json
import os
import tempfile

from apps.providers.registry import PROVIDERS

os.environ["ENV_FILE"] = os.devnull
os.environ["SECRET_KEY"] = "only-for-tests-" + "x" * 40
os.environ["ENCRYPTION_KEYS"] = "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGU="
os.environ["PUBLIC_URL"] = "https://voice.example.com"
os.environ["ALLOWED_HOSTS"] = "voice.example.com,testserver,localhost,127.0.0.1"
os.environ["ENABLE_TEST_PROVIDERS"] = "1"
os.environ["DEBUG"] = "0"
# All tests come from one address, and some send a thousand requests; tests of limits set their own.
os.environ["RATE_LIMIT"] = os.environ["AUTH_FAILURE_LIMIT"] = "0"
# No test reaches a vendor: those that need one serve a stand-in, for the others nobody is at home.
NOWHERE = "http://127.0.0.1:9"
os.environ["TWILIO_API_URL"] = NOWHERE
os.environ["PROVIDER_API_URLS"] = json.dumps({name: NOWHERE for _, name in PROVIDERS})
# What is recorded goes nowhere near a developer's own.
_recorded = tempfile.TemporaryDirectory(prefix="botsconfig-recordings-")
os.environ["RECORDINGS_FOLDER"] = f"{_recorded.name}/stored"
os.environ["RECORDINGS_SPOOL"] = f"{_recorded.name}/spool"
os.environ.setdefault("DATABASE_URL", "")
# Processes that test at once have a database each: in Redis too, where they are numbered.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "")
if os.environ.get("REDIS_URL") and _worker:
    _server, _, _number = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{_server}/{(int(_number) + 1 + int(_worker[2:])) % 16}"
