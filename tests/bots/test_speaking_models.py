"""A bot whose model hears and speaks itself needs no other provider, and says its own lines."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts.models import Account
from apps.bots.models import SpokenLine, TwilioConfigVersion
from apps.bots.selectors import call_expected, secrets_used
from apps.bots.speech import line_digest, line_texts, lines_speak, speaking_kind
from apps.gateway.building import providers_of
from apps.providers.openai_realtime import OpenAIRealtime
from tests.vendors.openai_realtime import OpenAIRealtimeStandIn
from tests.vendors.serving import KEY, serving

URL = "/twilio-config"
BODY: dict[str, Any] = {
    "name": "Speaker",
    "config": {
        "llm": {"provider": "openai_realtime", "prompt": "You are the front desk."},
        # Set aside: neither is asked, so neither needs a key.
        "stt": {"provider": "deepgram"},
        "tts": {"provider": "cartesia"},
    },
}


@pytest.fixture
def bot(api: APIClient) -> dict[str, Any]:
    made: dict[str, Any] = api.post(URL, {**BODY, "api_keys": {"openai_realtime": KEY}}).json()
    return made


def test_only_the_model_is_looked_at(api: APIClient, bot: dict[str, Any]) -> None:
    found = api.get(f"{URL}/{bot['id']}/render").json()
    assert list(found["providers"]) == ["llm"]
    assert found["missing_keys"] == []
    assert bot["warnings"] == []


def test_without_a_key_only_the_models_is_missed(api: APIClient) -> None:
    made = api.post(URL, BODY).json()
    found = api.get(f"{URL}/{made['id']}/render").json()
    assert found["missing_keys"] == ["openai_realtime"]


def test_the_accounts_key_is_lent_to_the_model_alone(api: APIClient, account: Account) -> None:
    for provider in ("openai_realtime", "cartesia"):
        api.put(f"/credentials/{provider}", {"api_key": f"key-of-{provider}"})
    api.post(URL, BODY)
    version = TwilioConfigVersion.objects.get()
    assert secrets_used(str(account.pk), version)["api_keys"] == {
        "openai_realtime": "key-of-openai_realtime"
    }


def test_a_call_is_made_of_the_model_alone(bot: dict[str, Any]) -> None:
    admission = call_expected(bot["id"], {})
    assert admission is not None
    providers = providers_of(admission, test_providers=False)
    assert isinstance(providers.mind, OpenAIRealtime)
    assert providers.ears is providers.mind.ears
    assert providers.voice is providers.mind.voice


def test_a_recording_depends_on_the_model_and_not_on_the_voice_set_aside(
    bot: dict[str, Any],
) -> None:
    document = TwilioConfigVersion.objects.get().document
    assert speaking_kind(document) == "llm"
    slot = document["llm"]
    other = {**slot, "options": {**slot["options"], "voice": "cedar"}}
    assert line_digest(slot, "Hello.") != line_digest(other, "Hello.")


@pytest.mark.django_db(transaction=True)
async def test_the_lines_are_recorded_in_the_models_own_voice(
    bot: dict[str, Any], settings: Any
) -> None:
    from asgiref.sync import sync_to_async

    async with serving(OpenAIRealtimeStandIn()) as vendor:
        settings.PROVIDER_API_URLS = {"openai_realtime": vendor.url}
        version = await TwilioConfigVersion.objects.aget()
        await SpokenLine.objects.all().adelete()
        spoken = await sync_to_async(lines_speak.func, thread_sensitive=False)(version.pk)
    texts = set(line_texts(version.document).values())
    assert spoken == len(texts)
    assert await SpokenLine.objects.acount() == len(texts)
