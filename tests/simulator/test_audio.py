"""WAV files of every kind in, a stereo one out."""

from __future__ import annotations

import struct
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from apps.simulator.audio import AudioFileError, sound_bounds, stereo_write, wav_decode, wav_read
from apps.voice import g711
from tests.simulator.conftest import tone


def wav(body: bytes, *, tag: int, bits: int, rate: int, channels: int, extra: bytes = b"") -> bytes:
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits) + extra
    # An odd chunk in front, as recorders write them: it must be skipped, padding and all.
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\x00"
    chunks += b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def sine(rate: int, channels: int) -> npt.NDArray[np.float64]:
    """A second of 400 Hz at 0.3, in every channel, flattened."""
    mono = 0.3 * np.sin(2 * np.pi * 400 * np.arange(rate) / rate)
    return np.repeat(mono, channels)


def int24(samples: npt.NDArray[np.float64]) -> bytes:
    wide = np.rint(samples * 2**31).astype("<i4").view(np.uint8).reshape(-1, 4)
    return wide[:, 1:].tobytes()


FORMATS: dict[str, tuple[int, int, Callable[[npt.NDArray[np.float64]], bytes]]] = {
    "8 bits": (1, 8, lambda s: np.rint(s * 128 + 128).astype(np.uint8).tobytes()),
    "16 bits": (1, 16, lambda s: np.rint(s * 2**15).astype("<i2").tobytes()),
    "24 bits": (1, 24, int24),
    "32 bits": (1, 32, lambda s: np.rint(s * 2**31).astype("<i4").tobytes()),
    "float": (3, 32, lambda s: s.astype("<f4").tobytes()),
    "double": (3, 64, lambda s: s.astype("<f8").tobytes()),
    "mu-law": (7, 8, g711.encode_float),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (48_000, 1)])
def test_it_reads_any_format_rate_and_number_of_channels(
    kind: str, rate: int, channels: int
) -> None:
    tag, bits, pack = FORMATS[kind]
    content = wav(pack(sine(rate, channels)), tag=tag, bits=bits, rate=rate, channels=channels)

    found = g711.decode_float(wav_decode(content))

    expected = g711.decode_float(tone(1_000))
    assert abs(len(found) - 8_000) <= 1
    assert np.max(np.abs(found[400:7_600] - expected[400:7_600])) < 0.02


def test_it_reads_the_extensible_form() -> None:
    extra = struct.pack("<HHIH", 22, 16, 0, 1) + b"\x00" * 14
    body = np.rint(sine(16_000, 1) * 2**15).astype("<i2").tobytes()
    content = wav(body, tag=0xFFFE, bits=16, rate=16_000, channels=1, extra=extra)
    assert abs(len(wav_decode(content)) - 8_000) <= 1


def test_it_reads_a_file_that_never_learned_its_length() -> None:
    content = wav(tone(100), tag=7, bits=8, rate=8_000, channels=1)
    content = content.replace(b"data" + struct.pack("<I", 800), b"data\xff\xff\xff\xff")
    assert wav_decode(content) == tone(100)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a WAV file"),
        (b"ID3\x04" + b"\x00" * 100, "ffmpeg"),
        (b"RIFF\x04\x00\x00\x00WAVE", "without audio"),
        (wav(b"", tag=1, bits=16, rate=8_000, channels=1), "without audio"),
        (wav(b"\x00", tag=1, bits=16, rate=8_000, channels=1), "without audio"),
        (wav(b"\x00" * 80, tag=6, bits=8, rate=8_000, channels=1), "not supported"),
        (wav(b"\x00" * 80, tag=1, bits=16, rate=8_000, channels=0), "make no sense"),
        (wav(b"\x00" * 80, tag=1, bits=16, rate=0, channels=1), "make no sense"),
    ],
)
def test_it_says_what_is_wrong_with_a_file(content: bytes, words: str) -> None:
    with pytest.raises(AudioFileError, match=words):
        wav_decode(content)


def test_it_names_the_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="absent.wav: No such file"):
        wav_read(tmp_path / "absent.wav")


def test_the_recording_has_the_caller_left_and_the_bot_right(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    assert stereo_write(path, caller=tone(500), bot=g711.SILENCE * 8_000) == 1.0
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8_000)
        both = np.frombuffer(file.readframes(8_000), "<i2").reshape(-1, 2)
    assert both[:4_000, 0].tobytes() == g711.decode(tone(500))
    assert not both[4_000:, 0].any()
    assert not both[:, 1].any()


def test_a_recording_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="No such file"):
        stereo_write(tmp_path / "no" / "call.wav", caller=b"", bot=b"")


def test_it_finds_where_the_sound_is() -> None:
    audio = g711.SILENCE * 800 + tone(300) + g711.SILENCE * 8_000
    assert sound_bounds(audio) == (100.0, 400.0)
    assert sound_bounds(g711.SILENCE * 8_000) is None
    assert sound_bounds(b"") is None
