"""Tables that fit, for whoever looks."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from apps.cli.output import GAP, Output, fit

ID = "b3d2a2a2-0adf-4c30-ab77-8f10c6c359bb"


@pytest.mark.parametrize(
    ("natural", "room", "widths"),
    [
        ([36, 10, 10], 100, [36, 10, 10]),
        ([36, 40, 7], 80, [36, 33, 7]),
        ([36, 40, 40], 80, [36, 20, 20]),
        ([36, 40, 40], 50, [36, 12]),
        ([36, 40, 40], 20, [36]),
    ],
)
def test_the_widest_column_gives_way_and_then_the_last(
    natural: list[int], room: int, widths: list[int]
) -> None:
    assert fit(natural, room) == widths


@pytest.mark.parametrize("room", [20, 40, 60, 80, 120])
def test_no_row_is_wider_than_the_terminal(
    room: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(room))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    Output().table(("ID", "NAME", "VERSION"), [(ID, "Front desk 前台" * 9, 1), (ID, "", 2)])
    lines = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
    assert len(lines) == 3
    assert all(ID in line for line in lines[1:])
    assert max(map(cell_len, lines)) <= max(room, len(ID) + GAP)


def test_a_pipe_gets_everything(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(("ID", "TEXT"), [(ID, "x" * 5000)])
    assert "x" * 5000 in capsys.readouterr().out
