"""A command line at a person's hand: what it prints, and the code it ends with."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from apps.cli.main import main
from tests.cli.stand_in import KEY, StandIn, standing_in


@dataclass
class SteppedClock:
    """Time that passes only by sleeping."""

    now_s: float = 1_000_000.0
    slept_s: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs commands. environ: theirs alone. Every output is searched for the key."""

    def __init__(self, capsys: pytest.CaptureFixture[str], home: Path) -> None:
        self.clock = SteppedClock()
        self.environ = {"HOME": str(home)}
        self._capsys = capsys

    def __call__(self, *argv: str | Path, stdin: str | None = None) -> Ran:
        # What pytest gives as standard input refuses to be read: nothing here may wait for one.
        given, sys.stdin = sys.stdin, io.StringIO(stdin) if stdin is not None else sys.stdin
        try:
            code = main(list(map(str, argv)), clock=self.clock, environ=self.environ)
        finally:
            sys.stdin = given
        out, err = self._capsys.readouterr()
        key = self.environ.get("BOTSCONFIG_KEY")
        assert not key or key not in out + err
        return Ran(code, out, err)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """A shell in which nothing is set."""
    return Shell(capsys, tmp_path / "home")


@pytest.fixture
def stand_in(shell: Shell) -> Iterator[StandIn]:
    """The server to the contract; the shell knows it and its key."""
    with standing_in() as found:
        shell.environ |= {"BOTSCONFIG_URL": found.url, "BOTSCONFIG_KEY": KEY}
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    made = tmp_path / "bots"
    made.mkdir()
    return made


Write = Callable[[str, str], Path]


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a file of the folder."""

    def write(name: str, text: str) -> Path:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write
