"""manage.py provider_pages: the documentation says what the code says, and notices when not."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.providers import registry
from apps.providers.pages import INDEX, pages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "providers"
    call_command("provider_pages", folder=made)
    return made


def test_every_provider_of_the_catalogue_has_a_page_and_stands_in_the_index(folder: Path) -> None:
    names = {found.name for found in registry.catalogue(test_providers=False)}
    assert {path.stem for path in folder.glob("*.md")} == {*names, INDEX.removesuffix(".md")}
    index = (folder / INDEX).read_text()
    assert all(f"({name}.md)" in index for name in names)
    assert "scripted" not in index


def test_fresh_pages_pass_the_check(folder: Path) -> None:
    call_command("provider_pages", folder=folder, check=True)


def test_the_pages_are_the_same_each_time() -> None:
    assert pages() == pages()


def _edited(folder: Path) -> str:
    (folder / "openai.md").write_text("Something else.")
    return "openai.md"


def _gone(folder: Path) -> str:
    (folder / "local.md").unlink()
    return "local.md"


def _left_over(folder: Path) -> str:
    (folder / "yesterdays.md").write_text("# A provider that was")
    return "yesterdays.md"


@pytest.mark.parametrize("change", [_edited, _gone, _left_over])
def test_a_stale_page_fails_the_check_and_the_command_mends_it(
    folder: Path, change: object
) -> None:
    assert callable(change)
    name = change(folder)
    with pytest.raises(CommandError, match=name):
        call_command("provider_pages", folder=folder, check=True)
    call_command("provider_pages", folder=folder)
    call_command("provider_pages", folder=folder, check=True)


def test_the_check_writes_nothing(folder: Path) -> None:
    name = _edited(folder)
    with pytest.raises(CommandError):
        call_command("provider_pages", folder=folder, check=True)
    assert (folder / name).read_text() == "Something else."
