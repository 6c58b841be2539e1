"""The editor's form: what was not touched stays, what was is checked as the API does it."""

from __future__ import annotations

from typing import Any

import pytest

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.document import draft_read, native_of
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.presentation import catalogue_present
from apps.bots.services import NotADraft, StaleVersion, Write, config_create, config_patch
from apps.dashboard.bots.form import BotForm
from apps.dashboard.bots.rows import VARIABLES
from apps.dashboard.bots.saving import Refused, Save, Unchanged, bot_create, bot_save, stored_new
from tests.dashboard.bots.conftest import FULL, SECRET, VENDOR_KEY, form_of, sent_by, version_of


def _save(config: TwilioConfig, form: BotForm, *, publish: bool = True, **over: Any) -> Any:
    config.refresh_from_db()
    base = version_of(config)
    asked = {"base": base, "onto": base.number, **over}
    return bot_save(Save(config, actor=Actor(), publish=publish, **asked), form)


def _changed(config: TwilioConfig, **texts: str) -> BotForm:
    return form_of(config, sent_by(form_of(config)) | texts)


def _native(config: TwilioConfig) -> dict[str, Any]:
    return native_of(version_of(config).document)


def test_a_form_that_comes_back_untouched_changes_nothing(full: TwilioConfig) -> None:
    form = _changed(full)
    assert form.patch() == {}
    assert not form.complaints
    with pytest.raises(Unchanged):
        _save(full, form)


def test_one_text_changes_one_member(full: TwilioConfig) -> None:
    before = _native(full)
    patch = _changed(full, **{"config.llm.prompt": "You are new.\r\nBe kind."}).patch()
    assert patch == {"config": {"llm": {"prompt": "You are new.\nBe kind."}}}
    _save(full, _changed(full, **{"config.llm.prompt": "You are new."}))
    after = _native(full)
    assert after["config"]["llm"].pop("prompt") == "You are new."
    del before["config"]["llm"]["prompt"]
    assert after == before


def test_secrets_stay_with_whatever_is_saved(full: TwilioConfig) -> None:
    before = version_of(full).secrets
    assert before["api_keys"] == {"openai": VENDOR_KEY}
    _save(full, _changed(full, name="Another"))
    assert version_of(full).secrets == before


@pytest.mark.parametrize(
    ("control", "text", "expected"),
    [
        ("max_duration", "", {"max_duration": None}),
        ("config.turns.stop_secs", "0.8", {"config": {"turns": {"stop_secs": 0.8}}}),
        ("config.turns.stop_secs", "", {"config": {"turns": {"stop_secs": None}}}),
        ("config.llm.temperature", "", {"config": {"llm": {"temperature": None}}}),
        ("config.llm.extra", "{}", {"config": {"llm": {"extra": {"service_tier": None}}}}),
        ("config.stt.keyterms", "a\r\n\r\n b ", {"config": {"stt": {"keyterms": ["a", "b"]}}}),
        ("config.stt.smart_format", "false", {"config": {"stt": {"smart_format": False}}}),
        ("config.stt.smart_format", "", {"config": {"stt": {"smart_format": None}}}),
        ("config.turns.interruptible", "true", {"config": {"turns": {"interruptible": True}}}),
        ("config.lines.filler", "Wait.", {"config": {"lines": {"filler": "Wait."}}}),
        ("config.lines.filler:silent", "", {"config": {"lines": {"filler": None}}}),
        ("config.lines.apology", " ", {"config": {"lines": {"apology": " "}}}),
        ("metadata", '{"team": "ops"}', {"metadata": {"deep": None, "nothing": None}}),
        ("variables-3-default", "6", {"config": {"variables": {"rooms": {"default": 6}}}}),
        ("variables-3-default", "9" * 25, {"config": {"variables": {"rooms": {"default": 1e25}}}}),
        ("variables-1-default", "", {"config": {"variables": {"hotel": {"default": None}}}}),
        (
            "variables-1-name",
            "house",
            {
                "config": {
                    "variables": {
                        "hotel": None,
                        "house": {
                            "type": "string",
                            "default": "the Ritz",
                            "description": "Its name",
                        },
                    }
                }
            },
        ),
        ("transfers-0-mode", "cold", {"config": {"transfers": {"desk": {"mode": "cold"}}}}),
        ("tools-2-url", "", {"webhook_tools": {"look_up": None}}),
        ("tools-2-streaming", "true", {"webhook_tools": {"look_up": {"streaming": True}}}),
        (
            "tools-1-header-0-value",
            "new",
            {"webhook_tools": {"book": {"custom_headers": {"Authorization": "new"}}}},
        ),
        (
            "tools-1-header-0-gone",
            "true",
            {"webhook_tools": {"book": {"custom_headers": {"Authorization": None}}}},
        ),
    ],
)
def test_what_is_entered_becomes_a_patch(
    full: TwilioConfig, control: str, text: str, expected: dict[str, Any]
) -> None:
    assert _changed(full, **{control: text}).patch() == expected


def test_a_row_taken_away_is_gone(full: TwilioConfig) -> None:
    data = {name: text for name, text in sent_by(form_of(full)).items() if "tools-1" not in name}
    _save(full, form_of(full, data))
    assert [tool["name"] for tool in _native(full)["config"]["llm"]["tools"]] == [
        "end_call",
        "look_up",
    ]
    assert list(_native(full)["webhook_tools"]) == ["look_up"]
    assert "book" not in version_of(full).secrets["tool_headers"]


def test_a_new_row_counts_where_it_stands_and_an_empty_one_does_not(full: TwilioConfig) -> None:
    new = {"variables-90-name": "city", "variables-90-type": "string", "variables-90-default": ""}
    empty = {"variables-91-name": "", "variables-91-type": "string"}
    assert _changed(full, **new, **empty).patch() == {"config": {"variables": {"city": {}}}}


def test_a_tool_with_a_new_name_keeps_its_headers(full: TwilioConfig) -> None:
    _save(full, _changed(full, **{"tools-1-name": "reserve"}))
    assert version_of(full).secrets["tool_headers"]["reserve"]["Authorization"] == SECRET


def test_a_new_address_gets_no_old_headers_and_says_so(full: TwilioConfig) -> None:
    form = _changed(full, **{"tools-1-url": "https://elsewhere.example/"})
    with pytest.raises(Refused):
        _save(full, form)
    assert form.complaints.of("tools-1-custom_headers")


def test_another_provider_starts_afresh(full: TwilioConfig) -> None:
    # The page had Deepgram's controls: it ran no script.
    asked = {"config.stt.provider": "gladia", "for.stt": "deepgram"}
    _save(full, _changed(full, **asked))
    stt = _native(full)["config"]["stt"]
    assert stt["provider"] == "gladia"
    assert "nova" not in stt["model"]
    assert "keyterms" not in stt
    assert "smart_format" not in stt


def test_another_provider_takes_what_was_entered_for_it(full: TwilioConfig) -> None:
    asked = {"config.llm.provider": "scripted", "for.llm": "scripted", "config.llm.token_ms": "7"}
    asked |= {"config.llm.model": "", "config.llm.temperature": "", "config.llm.extra": ""}
    _save(full, _changed(full, **asked))
    llm = _native(full)["config"]["llm"]
    assert (llm["provider"], llm["token_ms"]) == ("scripted", 7)
    assert llm["prompt"] == FULL["config"]["llm"]["prompt"]
    assert len(llm["tools"]) == 3


@pytest.mark.parametrize(
    ("control", "text", "at"),
    [
        ("config.llm.prompt", "", "config.llm.prompt"),
        ("config.llm.provider", "nobody", "config.llm.provider"),
        ("config.llm.temperature", "hot", "config.llm.temperature"),
        ("config.llm.messages", '[{"role": "boss", "content": "x"}]', "config.llm.messages"),
        ("config.tts.language", "!!", "config.tts.language"),
        ("config.turns.stop_secs", "99", "config.turns.stop_secs"),
        ("config.greeting.text", "  ", "config.greeting.text"),
        ("max_duration", "3", "max_duration"),
        ("max_duration", "NaN", "max_duration"),
        ("metadata", "[1]", "metadata"),
        ("metadata", "{", "metadata"),
        ("metadata", '{"a": null}', "metadata"),
        ("metadata", '{"a": NaN}', "metadata"),
        ("metadata", '{"a": 1e999}', "metadata"),
        ("metadata", f'{{"a": {"9" * 5_000}}}', "metadata"),
        ("metadata", '{"a": "\\ud83d"}', "metadata"),
        ("metadata", '{"a": "\\u0000"}', "metadata"),
        ("metadata", '{"a": ' * 900 + "1" + "}" * 900, "metadata"),
        ("config.llm.messages", r'[{"role": "user", "content": "\ud83d"}]', "config.llm.messages"),
        ("config.llm.extra", '{"a": "\\ud83d"}', "config.llm.extra"),
        ("config.stt.keyterms", '["\\ud83d"]', "config.stt.keyterms"),
        ("variables-3-default", "9" * 400, "variables-3-default"),
        ("variables-3-default", "many", "variables-3-default"),
        ("variables-1-name", "a.b", "variables-1-name"),
        ("variables-3-name", "hotel", "variables-3-name"),
        ("variables-1-name", "", "variables-1-name"),
        ("transfers-0-to", "12", "transfers-0-to"),
        ("transfers-0-mode", "hot", "transfers-0-mode"),
        ("tools-1-name", "not a name", "tools-1-name"),
        ("tools-1-parameters", '{"type": "array"}', "tools-1-parameters"),
        ("tools-1-parameters", "{", "tools-1-parameters"),
        (
            "tools-1-parameters",
            r'{"type": "object", "description": "\ud83d"}',
            "tools-1-parameters",
        ),
        ("tools-2-url", "ftp://x", "tools-2-url"),
        ("tools-2-timeout_secs", "900", "tools-2-timeout_secs"),
    ],
)
def test_a_complaint_is_shown_at_its_control(
    full: TwilioConfig, control: str, text: str, at: str
) -> None:
    form = _changed(full, **{control: text})
    with pytest.raises(Refused):
        _save(full, form)
    assert form.complaints.of(at)
    assert form.complaints.homeless == []
    assert version_of(full).number == 1


def test_a_complaint_without_a_control_stands_on_top_with_its_path(full: TwilioConfig) -> None:
    form = form_of(full)
    form.refuse({"config.llm.tools": ["Too many."], "body": ["Broken."]})
    assert form.complaints.homeless == [("config.llm.tools", "Too many."), ("body", "Broken.")]


def test_a_bad_header_is_complained_of_at_its_tool(full: TwilioConfig) -> None:
    new = {"tools-1-header-7-name": "Host", "tools-1-header-7-value": "evil.example"}
    form = _changed(full, **new)
    with pytest.raises(Refused):
        _save(full, form)
    assert form.complaints.of("tools-1-custom_headers")


def test_what_an_older_form_kept_stays(account: Account) -> None:
    body = {
        "bot_profile": "voice_2024_10",
        "services": {"llm": "openai", "tts": "cartesia"},
        "config": [
            {"service": "llm", "options": [{"name": "initial_messages", "value": [
                {"role": "system", "content": "Be brief."}]}, {"name": "wild", "value": 7}]},
        ],
        "room": {"name": "suite"},
    }  # fmt: skip
    config = config_create(account=account, draft=draft_read(body), actor=Actor())
    kept = version_of(config).kept
    assert kept
    _save(config, _changed(config, **{"config.llm.prompt": "Be long."}))
    assert version_of(config).kept == kept


@pytest.mark.parametrize("publish", [True, False])
def test_who_saves_late_changes_nothing(full: TwilioConfig, publish: bool) -> None:
    form = _changed(full, name="Mine")
    base = version_of(full)
    config_patch(Write(full.account, full.id, Actor()), {"name": "Theirs"})
    with pytest.raises(StaleVersion):
        _save(full, form, base=base, onto=base.number, publish=publish)
    assert _native(full)["name"] == "Theirs"


def test_who_has_seen_the_newer_version_adds_to_it(full: TwilioConfig) -> None:
    form = _changed(full, **{"config.llm.prompt": "Mine."})
    base = version_of(full)
    config_patch(Write(full.account, full.id, Actor()), {"name": "Theirs"})
    _save(full, form, base=base, onto=2)
    found = _native(full)
    assert (found["name"], found["config"]["llm"]["prompt"]) == ("Theirs", "Mine.")


def test_a_draft_takes_no_calls_until_it_is_published(full: TwilioConfig) -> None:
    _save(full, _changed(full, name="Draft"), publish=False)
    full.refresh_from_db()
    assert full.current is not None
    assert full.current.number == 1
    _save(full, _changed(full), publish=True)
    full.refresh_from_db()
    assert full.current.number == 2
    assert TwilioConfigVersion.objects.filter(config=full).count() == 2


def test_publishing_changes_of_a_draft_publishes_the_draft(full: TwilioConfig) -> None:
    _save(full, _changed(full, name="Draft"), publish=False)
    written = _save(full, _changed(full, **{"config.llm.prompt": "New."}), publish=True)
    full.refresh_from_db()
    assert full.current == written.version
    assert full.name == "Draft"
    assert _native(full)["config"]["llm"]["prompt"] == "New."


def test_a_draft_made_meanwhile_is_not_overtaken_without_a_word(full: TwilioConfig) -> None:
    form = _changed(full, name="Mine")
    base = version_of(full)
    config_patch(Write(full.account, full.id, Actor(), publish=False), {"name": "Draft"})
    with pytest.raises(StaleVersion):
        _save(full, form, base=base, onto=base.number)


def test_what_is_overtaken_is_not_published(full: TwilioConfig) -> None:
    _save(full, _changed(full, name="Draft"), publish=False)
    base = version_of(full)
    form = _changed(full)
    config_patch(Write(full.account, full.id, Actor()), {"name": "Theirs"})
    with pytest.raises((StaleVersion, NotADraft)):
        _save(full, form, base=base, onto=2)


def test_a_new_bot_begins_with_the_accounts_defaults_and_a_greeting(account: Account) -> None:
    account.defaults = {"tts": {"provider": "scripted", "character_ms": 30}}
    stored = stored_new(account)
    blank = BotForm(stored, catalogue_present())
    data = sent_by(blank) | {"config.llm.prompt": "You help.", "name": "Helper"}
    form = BotForm(stored, catalogue_present(), data)
    written = bot_create(account=account, form=form, actor=Actor(), publish=True)
    native = native_of(written.version.document)
    assert native["config"]["tts"]["character_ms"] == 30
    assert native["config"]["greeting"]["mode"] == "text"
    assert native["config"]["llm"]["prompt"] == "You help."


def test_a_new_bot_needs_a_prompt(account: Account) -> None:
    stored = stored_new(account)
    form = BotForm(stored, catalogue_present(), sent_by(BotForm(stored, catalogue_present())))
    with pytest.raises(Refused):
        bot_create(account=account, form=form, actor=Actor(), publish=True)
    assert form.complaints.of("config.llm.prompt")


def test_a_refused_form_shows_what_was_entered(full: TwilioConfig) -> None:
    form = _changed(full, **{"config.llm.prompt": "", "name": "New", "variables-1-default": "x"})
    with pytest.raises(Refused):
        _save(full, form)
    texts = sent_by(form)
    assert (texts["name"], texts["variables-1-default"]) == ("New", "x")
    assert form.rows(VARIABLES)[1].texts["default"] == "x"


def test_a_stored_header_shows_its_name_alone(full: TwilioConfig) -> None:
    stored = form_of(full).stored
    assert SECRET not in repr(stored)
    assert stored.header_names["book"] == ["Authorization", "X-Hotel"]


def test_what_a_bot_holds_that_no_release_knows_can_go(account: Account) -> None:
    draft = draft_read(FULL)
    draft.document["stt"]["options"]["retired"] = {"a": 1}
    config = config_create(account=account, draft=draft, actor=Actor())
    with pytest.raises(Refused):
        _save(config, _changed(config, name="New"))
    _save(config, _changed(config, **{"config.stt.retired": ""}))
    assert "retired" not in _native(config)["config"]["stt"]


# --- who takes over -----------------------------------------------------------------------------


def _chain(config: TwilioConfig, slot: str = "llm") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _native(config)["config"][slot].get("fallbacks", [])
    return found


def test_a_fallback_is_changed_and_what_has_no_control_stays(full: TwilioConfig) -> None:
    _save(full, _changed(full, **{"llmfallbacks-0-model": "claude-sonnet-4-5"}))
    first, second = _chain(full)
    assert (first["model"], first["temperature"]) == ("claude-sonnet-4-5", 0.5)
    assert second["provider"] == "groq"


def test_another_provider_takes_over_without_the_options_of_the_old_one(
    full: TwilioConfig,
) -> None:
    other = {"llmfallbacks-0-provider": "mistral", "llmfallbacks-0-model": ""}
    _save(full, _changed(full, **other))
    first, _ = _chain(full)
    assert first["provider"] == "mistral"
    assert first.get("temperature") != 0.5


def test_fallbacks_are_added_and_taken_away_in_the_pages_order(full: TwilioConfig) -> None:
    sent = {
        name: text
        for name, text in sent_by(form_of(full)).items()
        if not name.startswith("llmfallbacks-0-")
    }
    sent |= {"llmfallbacks-1000-provider": "local", "llmfallbacks-1001-provider": ""}
    sent |= {"ttsfallbacks-1002-provider": "cartesia", "ttsfallbacks-1002-voice": "a-voice"}
    _save(full, form_of(full, sent))
    assert [one["provider"] for one in _chain(full)] == ["groq", "local"]
    (voice,) = _chain(full, "tts")
    assert (voice["provider"], voice["voice"]) == ("cartesia", "a-voice")
    gone = {name: text for name, text in sent.items() if "fallbacks-" not in name}
    _save(full, form_of(full, gone))
    assert _chain(full) == _chain(full, "tts") == []


def test_a_fallback_that_is_wrong_is_marked_in_its_row(full: TwilioConfig) -> None:
    form = _changed(full, **{"llmfallbacks-1-provider": "", "llmfallbacks-0-model": "x" * 201})
    with pytest.raises(Refused):
        _save(full, form)
    assert form.complaints.of("llmfallbacks-1-provider")
    assert form.complaints.of("llmfallbacks-0-model")
    assert not form.complaints.homeless
    form = _changed(full, **{"config.llm.provider": "openai_realtime"})
    with pytest.raises(Refused):
        _save(full, form)
    assert "speaks itself" in form.complaints.of("llmfallbacks")[0]


def test_a_slots_new_provider_leaves_who_takes_over_for_it(full: TwilioConfig) -> None:
    _save(full, _changed(full, **{"config.llm.provider": "mistral"}))
    assert [one["provider"] for one in _chain(full)] == ["anthropic", "groq"]
