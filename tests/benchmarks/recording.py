"""What recording a call costs: on the loop, in the thread that writes, and afterwards.

CPU time of one process, so that a busy machine changes it little.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from apps.calls.recordings.spool import folder_make
from apps.simulator.clock import VirtualClock
from apps.telephony import inbound
from apps.telephony.streams import media_audio, media_timestamp
from apps.voice import g711
from apps.voice.recording import Recorder
from apps.voice.stereo import pcm_write, tracks_of

MINUTES = 10
FRAMES = MINUTES * 60 * 50
SOUND = g711.encode_float(np.random.default_rng(1).normal(0, 0.1, 800))


def main() -> None:
    pieces: list[bytes] = []
    clock = VirtualClock()
    recorder = Recorder(clock, lambda piece: not pieces.append(piece))  # type: ignore[func-returns-value]
    texts = [
        inbound.media("MZ1", sequence=n, chunk=n, timestamp_ms=n * 20, payload="f39/" * 53 + "fw==")
        for n in range(FRAMES)
    ]
    parsed = _cpu(lambda: [media_audio(text) for text in texts])
    on_loop = _cpu(lambda: _talk(recorder, clock, texts)) - parsed
    with tempfile.TemporaryDirectory() as root:
        folder = folder_make(Path(root) / "spool")
        writing = _cpu(lambda: _write(folder.append, pieces))
        folder.close()
    log = b"".join(pieces)
    made = bytearray()
    making = _cpu(lambda: pcm_write(log, tracks_of(log), made.extend))
    rows = {
        "on the loop": on_loop,
        "in the thread that writes": writing,
        "making the file": making,
    }
    print(f"{MINUTES} minutes, half of them the bot speaking")
    for name, seconds in rows.items():
        share = seconds / (MINUTES * 60) * 100
        print(f"{name:<28} {seconds * 1_000:6.0f} ms   {share:.3f} % of a core a call")
    print(f"{'spooled a minute':<28} {len(log) / MINUTES / 1e6:6.2f} MB")
    print(f"{'stored a minute':<28} {len(made) / MINUTES / 1e6:6.2f} MB")


def _talk(recorder: Recorder, clock: VirtualClock, texts: list[str]) -> None:
    for number, text in enumerate(texts):
        clock.advance(0.02)
        audio = media_audio(text)
        if audio is not None:
            recorder.caller(audio, media_timestamp(text))
        if number % 5 == 0 and number // 250 % 2:
            recorder.bot(SOUND)
        if number % 10 == 0:
            recorder.marked(f"1.{number}")
            recorder.echoed(f"1.{number}")
    recorder.close()


def _write(append: Callable[..., int], pieces: list[bytes]) -> None:
    size = 0
    for piece in pieces:
        size = append("x.log", piece, at=size)


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
