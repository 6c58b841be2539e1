"""The platform's sentences are spoken beforehand."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks
from rest_framework.test import APIClient

from apps.bots import speech
from apps.bots.document import draft_read
from apps.bots.models import SpokenLine, TwilioConfig
from apps.bots.speech import line_digest, line_texts, lines_speak
from apps.providers import registry
from apps.providers.base import Declaration, ServiceSettings
from apps.voice.ports import ProviderError
from tests.conftest import BODY


class FakeVoice:
    """Speaks a text's length; fails as often as it is told."""

    spoken: ClassVar[list[str]] = []
    failures: ClassVar[list[ProviderError]] = []
    built: ClassVar[list[ServiceSettings]] = []
    closed: ClassVar[int] = 0

    def __init__(self, settings: ServiceSettings) -> None:
        self.built.append(settings)

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        if self.failures:
            raise self.failures.pop()
        self.spoken.append(text)
        yield b"\x01" * 80
        yield b"\x02" * 80

    async def aclose(self) -> None:
        type(self).closed += 1


@pytest.fixture
def voice(monkeypatch: pytest.MonkeyPatch) -> type[FakeVoice]:
    declared = Declaration(
        kind="tts",
        name="fake",
        title="Fake",
        description="",
        open_voices=True,
        factory="tests.bots.test_speech:FakeVoice",
    )
    monkeypatch.setitem(registry.PROVIDERS, ("tts", "fake"), declared)
    monkeypatch.setattr(speech, "RETRY_AFTER_S", (0.0, 0.0))
    FakeVoice.spoken, FakeVoice.failures, FakeVoice.built, FakeVoice.closed = [], [], [], 0
    return FakeVoice


@pytest.fixture
def post(api: APIClient, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Any:
    def send(**config: Any) -> Any:
        body = {**BODY, "config": {**BODY["config"], "tts": {"provider": "fake"}, **config}}
        with django_capture_on_commit_callbacks(execute=True):
            return api.post("/twilio-config", {**body, "api_keys": {"fake": "k"}})

    return send


def test_a_new_bots_lines_are_spoken(voice: type[FakeVoice], post: Any) -> None:
    assert post(greeting={"mode": "text", "text": "Hello!"}).status_code == 201
    assert "Hello!" in voice.spoken
    assert len(voice.spoken) == SpokenLine.objects.count() == 8
    assert bytes(SpokenLine.objects.all()[0].audio) == b"\x01" * 80 + b"\x02" * 80
    assert voice.built[0].secrets == {"api_key": "k"}
    assert voice.closed == 1


def test_what_is_there_is_not_spoken_again(voice: type[FakeVoice], post: Any) -> None:
    post()
    voice.spoken.clear()
    post(lines={"idle": "Hey?"})
    assert voice.spoken == ["Hey?"]


def test_a_text_with_variables_waits_for_its_call(voice: type[FakeVoice], post: Any) -> None:
    post(greeting={"mode": "text", "text": "Hello {{name}}!"})
    assert not [text for text in voice.spoken if "{{" in text]


def test_a_passing_failure_is_tried_again(voice: type[FakeVoice], post: Any) -> None:
    voice.failures.append(ProviderError("fake", "busy", reason="unavailable", retryable=True))
    post()
    assert SpokenLine.objects.count() == 7


def test_a_failure_is_logged_and_breaks_nothing(
    voice: type[FakeVoice], post: Any, caplog: pytest.LogCaptureFixture
) -> None:
    voice.failures.append(ProviderError("fake", "wrong key", reason="auth"))
    with caplog.at_level(logging.WARNING):
        assert post().status_code == 201
    assert not SpokenLine.objects.exists()
    (record,) = [found for found in caplog.records if found.name == "apps.bots.speech"]
    assert record.__dict__["reason"] == "auth"
    assert voice.closed == 1


def test_what_was_spoken_before_a_failure_is_kept(voice: type[FakeVoice], post: Any) -> None:
    broken = ProviderError("fake", "busy", reason="unavailable", retryable=True)
    voice.failures.extend([broken] * 3)
    post()
    assert not SpokenLine.objects.exists()
    assert lines_speak.call(TwilioConfig.objects.get().versions.get().id) == 7


def test_a_digest_names_everything_the_sound_depends_on() -> None:
    slot = {"provider": "p", "model": "m", "voice": "v", "language": "en", "options": {"a": 1}}
    changed = [{**slot, name: "x"} for name in slot] + [slot]
    digests = {line_digest(found, "Hello") for found in changed} | {line_digest(slot, "Bye")}
    assert len(digests) == 7
    assert line_digest(dict(reversed(slot.items())), "Hello") == line_digest(slot, "Hello")


def test_a_greeting_is_a_line_only_as_a_text() -> None:
    document = draft_read(BODY).document
    assert "greeting" not in line_texts(document)
    document["greeting"] = {"mode": "text", "text": "Hello"}
    assert line_texts({**document, "lines": {"idle": "Hey?"}})["idle"] == "Hey?"
    assert line_texts(document)["greeting"] == "Hello"
