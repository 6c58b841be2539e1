"""Who takes over when a bot's provider fails, as bots name them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.credentials import credential_put
from apps.accounts.models import Account
from apps.bots.dailybots_form import body_of
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.selectors import stream_admit

URL = "/twilio-config"
CHAINS: dict[str, list[dict[str, Any]]] = {
    "llm": [{"provider": "anthropic", "model": "claude-haiku-4-5", "temperature": 0.5}],
    "tts": [{"provider": "elevenlabs", "voice": "a-voice", "language": "de"}],
    "stt": [{"provider": "assemblyai", "language": "de"}, {"provider": "gladia"}],
}
BODY: dict[str, Any] = {
    "config": {
        "llm": {"provider": "openai", "prompt": "Hi.", "fallbacks": CHAINS["llm"]},
        "tts": {"provider": "cartesia", "fallbacks": CHAINS["tts"]},
        "stt": {"provider": "deepgram", "fallbacks": CHAINS["stt"]},
    },
    "api_keys": {"openai": "plain-key", "anthropic": "other-plain-key"},
}


@pytest.fixture
def bot(api: APIClient) -> str:
    answer = api.post(URL, BODY)
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


def shown(api: APIClient, bot: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"{URL}/{bot}").json()["config"]
    return found


def with_chain(slot: str, *chain: Any, **more: Any) -> dict[str, Any]:
    body = deepcopy(BODY)
    body["config"][slot] |= {"fallbacks": list(chain), **more}
    return body


def complaints(api: APIClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = api.post(URL, body)
    assert answer.status_code == 400, answer.content
    found: dict[str, Any] = answer.json()["fields"]
    return found


def test_a_chain_is_answered_as_it_was_given(api: APIClient, bot: str) -> None:
    found = shown(api, bot)
    for slot, chain in CHAINS.items():
        assert len(found[slot]["fallbacks"]) == len(chain)
        for given, answered in zip(chain, found[slot]["fallbacks"], strict=True):
            assert given.items() <= answered.items()


def test_a_bot_without_one_shows_none(api: APIClient, config: TwilioConfig) -> None:
    assert all("fallbacks" not in slot for slot in shown(api, str(config.id)).values())


def test_a_member_is_checked_as_the_slot_is_and_named_by_its_path(api: APIClient) -> None:
    wrong = with_chain(
        "llm",
        {"provider": "anthropic"},
        {"provider": "groq", "temperature": 9, "prompt": "Another one."},
        {"provider": "nobody"},
    )
    assert complaints(api, wrong).keys() == {
        "config.llm.fallbacks.1.temperature",
        "config.llm.fallbacks.1.prompt",
        "config.llm.fallbacks.2.provider",
    }
    wrong = with_chain("tts", {"model": "no-provider"}, "no slot")
    assert complaints(api, wrong).keys() >= {"config.tts.fallbacks.0.provider"}
    wrong = with_chain("stt", {"provider": "gladia", "language": "no language"})
    assert complaints(api, wrong).keys() == {"config.stt.fallbacks.0.language"}


def test_four_are_too_many(api: APIClient) -> None:
    chain = [{"provider": "groq", "model": f"model-{number}"} for number in range(4)]
    assert complaints(api, with_chain("llm", *chain)).keys() == {"config.llm.fallbacks"}
    assert api.post(URL, with_chain("llm", *chain[:3])).status_code == 201


def test_nobody_takes_over_for_themselves(api: APIClient) -> None:
    twice = with_chain("llm", {"provider": "openai", "model": "gpt-a"}, model="gpt-a")
    assert complaints(api, twice).keys() == {"config.llm.fallbacks.0.model"}
    other = {"provider": "openai", "model": "gpt-b"}
    assert api.post(URL, with_chain("llm", other, model="gpt-a")).status_code == 201
    twice = with_chain("llm", other, other, model="gpt-a")
    assert complaints(api, twice).keys() == {"config.llm.fallbacks.1.model"}


def test_a_model_that_speaks_itself_is_no_part_of_a_chain(api: APIClient) -> None:
    speaking = {"provider": "openai_realtime"}
    found = complaints(api, with_chain("llm", *CHAINS["llm"], **speaking))
    assert "speaks itself" in found["config.llm.fallbacks"][0]
    assert complaints(api, with_chain("llm", speaking)).keys() == {
        "config.llm.fallbacks.0.provider"
    }


def test_a_patch_changes_a_chain_and_another_provider_keeps_it(api: APIClient, bot: str) -> None:
    patch: dict[str, Any] = {"config": {"llm": {"provider": "mistral"}}}
    assert api.patch(f"{URL}/{bot}", patch).status_code == 200
    assert shown(api, bot)["llm"]["fallbacks"][0]["provider"] == "anthropic"
    patch = {"config": {"llm": {"fallbacks": [{"provider": "groq"}]}, "stt": {"fallbacks": None}}}
    assert api.patch(f"{URL}/{bot}", patch).status_code == 200
    found = shown(api, bot)
    assert [one["provider"] for one in found["llm"]["fallbacks"]] == ["groq"]
    assert "fallbacks" not in found["stt"]


def test_a_call_is_given_every_member_with_its_key(account: Account, api: APIClient) -> None:
    credential_put(account=account, provider="elevenlabs", api_key="lent-key", actor=Actor())
    bot = TwilioConfig.objects.get(id=api.post(URL, BODY).json()["id"])
    call = stream_admit(
        account_id=str(bot.account_id), config_id=str(bot.id), token=bot.stream_token
    )
    assert call is not None
    first, second = call.services("llm")
    assert (first.provider, first.secrets) == ("openai", {"api_key": "plain-key"})
    assert (second.provider, second.secrets) == ("anthropic", {"api_key": "other-plain-key"})
    assert second.model == "claude-haiku-4-5"
    assert second.options["temperature"] == 0.5
    assert call.services("tts")[1].secrets == {"api_key": "lent-key"}
    assert [found.provider for found in call.services("stt")] == [
        "deepgram",
        "assemblyai",
        "gladia",
    ]


def test_render_tells_the_chain_and_the_keys_that_it_lacks(api: APIClient, bot: str) -> None:
    found = api.get(f"{URL}/{bot}/render").json()
    (second,) = found["providers"]["llm"]["fallbacks"]
    assert (second["provider"], second["key"]) == ("anthropic", "config")
    assert found["missing_keys"] == ["assemblyai", "cartesia", "deepgram", "elevenlabs", "gladia"]


def test_warnings_name_the_member(api: APIClient) -> None:
    body = with_chain("llm", {"provider": "anthropic", "model": "claude-of-tomorrow"})
    warnings = api.post(URL, body).json()["warnings"]
    assert any(text.startswith("config.llm.fallbacks.0.model: claude-of-") for text in warnings)


# --- their form ---------------------------------------------------------------------------------


def dailybots(**services: str) -> dict[str, Any]:
    return {
        "bot_profile": "twilio_ws_voice_2024_09",
        "services": {"llm": "openai", "tts": "cartesia", "stt": "deepgram", **services},
        "config": [
            {
                "service": "llm",
                "options": [
                    {
                        "name": "initial_messages",
                        "value": [{"role": "system", "content": "You are a shop."}],
                    }
                ],
            }
        ],
    }


def test_a_daily_bots_body_leaves_the_chain_as_it_is(api: APIClient, bot: str) -> None:
    before = shown(api, bot)
    assert api.put(f"{URL}/{bot}", dailybots()).status_code == 200
    after = shown(api, bot)
    for slot in CHAINS:
        assert after[slot]["fallbacks"] == before[slot]["fallbacks"]


def test_what_does_not_fit_the_new_provider_any_more_is_left_out(api: APIClient, bot: str) -> None:
    assert api.put(f"{URL}/{bot}", dailybots(stt="gladia")).status_code == 200
    assert [one["provider"] for one in shown(api, bot)["stt"]["fallbacks"]] == ["assemblyai"]
    assert api.put(f"{URL}/{bot}", dailybots(llm="openai_realtime")).status_code == 200
    assert "fallbacks" not in shown(api, bot)["llm"]


def test_their_form_can_say_it_too_and_is_told_where_it_is_wrong(api: APIClient, bot: str) -> None:
    version = TwilioConfigVersion.objects.get(config=UUID(bot))
    body = body_of(version.document, version.kept)
    assert draft_read(body).document == version.document
    body["botsconfig"]["fallbacks"]["llm"][0]["temperature"] = "hot"
    assert complaints(api, body).keys() == {"botsconfig.fallbacks.llm.0.temperature"}
    body["botsconfig"]["fallbacks"] = {"vad": []}
    assert api.put(f"{URL}/{bot}", body).status_code == 400
