"""What a provider's page of documentation says."""

from __future__ import annotations

from apps.providers import prices, registry
from apps.providers.pages import pages


def test_a_provider_of_several_slots_has_one_page() -> None:
    page = pages()["local.md"]
    for heading in ("## Speech to text: ", "## Language model: ", "## Text to speech: "):
        assert heading in page


def test_a_page_says_all_that_its_declaration_does() -> None:
    for found in registry.catalogue(test_providers=False):
        page = pages()[f"{found.name}.md"]
        for said in (
            found.description,
            found.closed,
            found.source,
            found.extra,
            *found.environment,
            *found.models,
            *found.limits,
            *(voice.id for voice in found.voices),
            *(option.name for option in found.options),
        ):
            assert said.replace("|", "\\|") in page


def test_an_options_row_says_what_it_takes_and_what_it_is_without_one() -> None:
    row = "| `speed` | a number from 0.5 to 2 | `1.0` | Pace; 1 is normal. |"
    assert row in pages()["local.md"]


def test_a_key_is_said_to_be_needed_and_where_it_is_stored() -> None:
    page = pages()["openai.md"]
    assert "`PUT /credentials/openai`" in page
    assert "`POST /credentials/openai/test`" in page
    assert "/test`" not in pages()["custom_llm.md"]
    assert "- Key: none" in pages()["local.md"]


def test_prices_stand_with_the_page_they_were_read_on() -> None:
    page = pages()["openai.md"]
    line = prices.table()["llm", "openai"]["gpt-5-mini"]
    assert "| `gpt-5-mini` | 0.25 | 0.025 |" in page
    assert f"Read on {line.read} at <{line.source}>" in page


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    assert "Unknown" in pages()["custom_llm.md"]
    assert "None. Runs on this server." in pages()["local.md"]


def test_no_cell_breaks_its_table() -> None:
    for page in pages().values():
        width = 0
        for line in page.splitlines():
            cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
            assert cells in (0, width) or not width
            width = cells
