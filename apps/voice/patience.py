"""What the bot says where tools leave the caller in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from apps.voice.clips import Clip
from apps.voice.playout import Playout
from apps.voice.ports import Clock

# A silence that lasts on after the first filler is broken again, so seldom.
AGAIN_S = 8.0


@dataclass(frozen=True, slots=True)
class Asides:
    """Sentences of the platform about tools.

    filler: asks for patience after ``filler_s`` of silence (0: never). goodbye: for a model that
    ends the call without a word.
    """

    filler: Clip | None = None
    goodbye: Clip | None = None
    filler_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Aside:
    """A sentence of the platform among the bot's own. answers: it may stand for an answer."""

    clip: Clip
    answers: bool = False


Sentences = asyncio.Queue[str | Aside | None]


async def fill_silence(
    sentences: Sentences, playout: Playout, clock: Clock, asides: Asides, words: Callable[[], str]
) -> None:
    """Break silences until cancelled. words: what the tool itself wants said; empty: the line."""
    quiet_since, wait_s = clock.now(), asides.filler_s
    while wait_s > 0:
        await sentences.join()
        quiet_since = max(quiet_since, playout.quiet_from())
        left = quiet_since + wait_s - clock.now()
        if left > 0:
            await asyncio.sleep(left)
            continue
        own = words()
        clip = Clip(own) if own else asides.filler
        if clip is None:
            return
        await sentences.put(Aside(clip))
        quiet_since, wait_s = clock.now(), AGAIN_S
