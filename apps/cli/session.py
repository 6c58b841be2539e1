"""One run of the command line: its options, its output, its connection."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import httpx

from apps.cli.client import Client
from apps.cli.output import Output
from apps.cli.retries import Clock
from apps.cli.settings import target_of

DEFAULT_TIMEOUT_S = 30.0


class Session:
    """What commands work with. given: the options that every command takes, as they were given."""

    def __init__(self, *, clock: Clock, environ: Mapping[str, str]) -> None:
        self.given: dict[str, Any] = {}
        self.environ = environ
        self._clock = clock
        self._http: httpx.Client | None = None

    @property
    def json(self) -> bool:
        """Whether a program reads."""
        return bool(self.given.get("json"))

    @cached_property
    def out(self) -> Output:
        return Output(verbose=bool(self.given.get("verbose")))

    @cached_property
    def client(self) -> Client:
        """The connection; made when it is first needed. Raises CliError."""
        target = target_of(self.given, self.environ)
        if target.warning:
            self.out.note(target.warning)
        self._http = httpx.Client(
            base_url=target.url,
            headers={"Authorization": f"Bearer {target.key}", "User-Agent": "botsconfig-cli"},
            timeout=self.given.get("timeout") or DEFAULT_TIMEOUT_S,
        )
        return Client(self._http, clock=self._clock, say=self.out.trace)

    def close(self) -> None:
        """Let go of the connection."""
        if self._http is not None:
            self._http.close()
