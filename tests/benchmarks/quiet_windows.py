"""What is lost by not showing quiet windows to the voice activity detector?

    python -m tests.benchmarks.quiet_windows

Thirty-six recordings: three sentences at three levels over four line noises. Each goes through the
real network and gate twice: every window inferred, and only those that are louder than the gate's
quiet level less the margin, as the gateway does it. Prints the share of windows saved and by how
much the first onset and the last end of speech moved, by level.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass

import numpy as np

from apps.gateway.stock import stock_clips
from apps.providers.silero import CONTEXT, SAMPLES, WINDOW_MS, SileroModel
from apps.voice.g711 import EXPAND_FLOAT, encode_float
from apps.voice.gate import Edge, SpeechGate
from apps.voice.hearing import SILENCE_MARGIN_DB
from apps.voice.ports import Window
from apps.voice.settings import LineName, TurnSettings

SENTENCES: tuple[LineName, ...] = ("idle", "goodbye", "time_up")
LEVELS_DB = (0, -10, -20)
NOISES_DB = (-75, -65, -55, -48)
LEAD_S, TAIL_S = 1.0, 1.5


@dataclass(frozen=True, slots=True)
class Edges:
    """When speech was seen to start first and to end last, in ms, and the windows inferred."""

    starts: tuple[float, ...]
    ends: tuple[float, ...]
    inferred: int
    windows: int


def recording(name: LineName, level_db: float, noise_db: float) -> np.ndarray:
    """Make one: telephone audio as samples in -1..1, through mu-law and back."""
    speech = EXPAND_FLOAT[np.frombuffer(stock_clips()[name].audio, np.uint8)]
    quiet = [np.zeros(int(seconds * 8_000), np.float32) for seconds in (LEAD_S, TAIL_S)]
    clean = np.concatenate([quiet[0], speech * 10 ** (level_db / 20), quiet[1]])
    noise = np.random.default_rng(7).normal(0, 10 ** (noise_db / 20), len(clean))
    heard = encode_float((clean + noise).astype(np.float32))
    found: np.ndarray = EXPAND_FLOAT[np.frombuffer(heard, np.uint8)]
    return found


def edges(model: SileroModel, audio: np.ndarray, *, skip_below_db: float) -> Edges:
    """Run the audio through the network and the gate, window by window."""
    gate = SpeechGate(TurnSettings())
    state = np.zeros((2, 1, 128), np.float32)
    context = np.zeros(CONTEXT, np.float32)
    starts, ends, inferred = [], [], 0
    windows = len(audio) // SAMPLES
    for number in range(windows):
        samples = audio[number * SAMPLES : (number + 1) * SAMPLES].astype(np.float32)
        level = float(10 * np.log10(np.mean(np.square(samples)) + 1e-10))
        probability = 0.0
        if level >= skip_below_db:
            inferred += 1
            row = np.concatenate([context, samples])[None, :]
            found, state = model.infer(row, state)
            probability = float(found[0])
        context = samples[-CONTEXT:]
        edge = gate.window(Window(probability, level, (number + 1) * WINDOW_MS))
        if edge is Edge.STARTED:
            starts.append((number + 1) * WINDOW_MS)
        elif edge is Edge.ENDED:
            ends.append(gate.speech_ended_ms)
    return Edges(tuple(starts), tuple(ends), inferred, windows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    model = SileroModel()
    quiet_db = SpeechGate(TurnSettings()).quiet_db - SILENCE_MARGIN_DB
    rows = []
    for level in LEVELS_DB:
        onsets, lasts, splits, saved, windows = [], [], 0, 0, 0
        for name in SENTENCES:
            for noise in NOISES_DB:
                audio = recording(name, level, noise)
                whole = edges(model, audio, skip_below_db=-1_000)
                lean = edges(model, audio, skip_below_db=quiet_db)
                saved += lean.windows - lean.inferred
                windows += lean.windows
                splits += len(whole.starts) != len(lean.starts)
                if whole.starts and lean.starts:
                    onsets.append(lean.starts[0] - whole.starts[0])
                    lasts.append(lean.ends[-1] - whole.ends[-1])
                else:
                    splits += bool(whole.starts) != bool(lean.starts)
        rows.append(
            {
                "level_db": level,
                "recordings": len(SENTENCES) * len(NOISES_DB),
                "windows_saved": round(saved / windows, 2),
                "onset_moved_ms": (min(onsets, default=0.0), max(onsets, default=0.0)),
                "last_end_moved_ms": (min(lasts, default=0.0), max(lasts, default=0.0)),
                "split_otherwise": splits,
            }
        )
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
