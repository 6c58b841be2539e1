"""What a voice sends is played only if it may be raw audio, however it is cut."""

from __future__ import annotations

import numpy as np
import pytest

from apps.providers.sound import PcmSound, Sound
from apps.voice import g711
from apps.voice.ports import ProviderError

WAVE = np.sin(np.arange(4_000) / 5).astype(np.float32) * 0.3
MULAW = g711.encode_float(WAVE)
PCM = (WAVE * 32_767).astype("<i2").tobytes()
FILES = {
    "wav": b"RIFF\x24\x7d\x00\x00WAVEfmt \x12\x00\x00\x00\x07\x00",
    "mp3": b"ID3\x04\x00\x00\x00\x00\x00\x23TSSE",
    "ogg": b"OggS\x00\x02",
    "flac": b"fLaC\x00\x00",
    "webm": b"\x1aE\xdf\xa3\x9f",
    "page": b"<!DOCTYPE html><html>",
    "error": b'{"error": {"message": "No credit left."}}',
}


def sound_of(kind: type[Sound]) -> Sound:
    return PcmSound("acme", g711.SAMPLE_RATE) if kind is PcmSound else Sound("acme")


def played(sound: Sound, audio: bytes, step: int) -> bytes:
    pieces = [sound.take(audio[at : at + step]) for at in range(0, len(audio), step)]
    return b"".join([*pieces, sound.end()])


@pytest.mark.parametrize("step", [1, 3, 160, 100_000])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", [Sound, PcmSound])
def test_a_files_header_is_not_played(kind: type[Sound], name: str, step: int) -> None:
    sound, out = sound_of(kind), b""
    with pytest.raises(ProviderError) as refused:
        for at in range(0, 8_000, step):
            out += sound.take((FILES[name] + MULAW * 3)[at : at + step])
    assert out == b""
    assert refused.value.reason == "unavailable"
    assert "credit" not in str(refused.value)


@pytest.mark.parametrize("step", [1, 3, 160, 100_000])
def test_raw_audio_is_played_whole(step: int) -> None:
    assert played(sound_of(Sound), MULAW, step) == MULAW
    assert played(sound_of(PcmSound), PCM, step) == g711.encode_float(
        np.frombuffer(PCM, "<i2").astype(np.float32) / 32_768
    )


def test_what_looks_like_a_header_in_mid_sentence_is_sound() -> None:
    sound = sound_of(Sound)
    sound.take(MULAW)
    assert sound.take(FILES["wav"]) == FILES["wav"]


def test_three_bytes_are_no_sentence() -> None:
    sound = sound_of(Sound)
    assert sound.take(b"\x00\x00\x00") == b""
    with pytest.raises(ProviderError):
        sound.end()
