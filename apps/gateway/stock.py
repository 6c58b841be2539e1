"""The platform's sentences in a stock voice, for when a bot's own voice cannot say them.

``manage.py stock_lines`` makes the files anew, with the local voice (Hibari, Apache-2.0).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from apps.voice.clips import Clip
from apps.voice.settings import LineName, Lines

FOLDER = Path(__file__).parent / "stock"


def path_of(name: LineName) -> Path:
    """Return where a line's audio lies: mu-law, 8,000 Hz, mono, no header."""
    return FOLDER / f"{name}.ulaw"


@functools.cache
def stock_clips() -> Mapping[LineName, Clip]:
    """Return every line that has default words."""
    lines = Lines()
    names: tuple[LineName, ...] = get_args(LineName)
    return MappingProxyType(
        {
            name: Clip(getattr(lines, name), path_of(name).read_bytes())
            for name in names
            if getattr(lines, name)
        }
    )
