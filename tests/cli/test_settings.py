"""Which server and which key a command goes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.cli.errors import CliError
from apps.cli.settings import DEFAULT_URL, Target, target_of

TOML = """
[default]
url = "https://default.example.com"
key = "default-key"

[staging]
url = "https://staging.example.com/api/"
key_file = "{file}"

[bare]
url = "https://bare.example.com"
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A home with profiles, and nothing else."""
    (tmp_path / "staging.key").write_text("staging-key\n")
    file = tmp_path / "botsconfig.toml"
    file.write_text(TOML.format(file=tmp_path / "staging.key"))
    file.chmod(0o600)
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def _found(target: Target) -> tuple[str, str]:
    return target.url, target.key


def test_the_environment_is_enough() -> None:
    target = target_of({}, {"BOTSCONFIG_KEY": "k", "XDG_CONFIG_HOME": "/nowhere"})
    assert _found(target) == (DEFAULT_URL, "k")


def test_a_key_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" k \n")
    environ = {"BOTSCONFIG_KEY_FILE": str(tmp_path / "key"), "XDG_CONFIG_HOME": "/nowhere"}
    assert target_of({}, environ).key == "k"


def test_the_default_profile_serves_where_nothing_is_set(environ: dict[str, str]) -> None:
    assert _found(target_of({}, environ)) == ("https://default.example.com", "default-key")


def test_a_named_profile_wins_over_the_environment(environ: dict[str, str]) -> None:
    environ |= {"BOTSCONFIG_URL": "https://env.example.com", "BOTSCONFIG_KEY": "env-key"}
    found = _found(target_of({"profile": "staging"}, environ))
    assert found == ("https://staging.example.com/api", "staging-key")


def test_a_profile_may_be_named_by_the_environment(environ: dict[str, str]) -> None:
    environ["BOTSCONFIG_PROFILE"] = "staging"
    assert target_of({}, environ).key == "staging-key"


def test_a_profile_without_a_key_takes_the_environments(environ: dict[str, str]) -> None:
    environ["BOTSCONFIG_KEY"] = "env-key"
    found = _found(target_of({"profile": "bare"}, environ))
    assert found == ("https://bare.example.com", "env-key")


def test_options_win_over_all(environ: dict[str, str]) -> None:
    given = {"profile": "staging", "url": "http://localhost:1", "key": "k"}
    assert _found(target_of(given, environ)) == ("http://localhost:1", "k")


@pytest.mark.parametrize("profile", [None, "default"])
def test_a_profiles_key_goes_to_no_other_server(
    environ: dict[str, str], profile: str | None
) -> None:
    given = {"url": "https://elsewhere.example.com", "profile": profile}
    with pytest.raises(CliError, match="no key for https://elsewhere"):
        target_of(given, environ)


def test_an_unknown_profile_is_an_error(environ: dict[str, str]) -> None:
    with pytest.raises(CliError, match=r"no profile \[production\]"):
        target_of({"profile": "production"}, environ)


def test_a_misspelt_member_of_a_profile_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "botsconfig.toml").write_text('[default]\nkey_fiel = "x"\n')
    with pytest.raises(CliError, match="unknown key_fiel"):
        target_of({}, environ)


def test_a_broken_profile_file_is_not_quoted(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "botsconfig.toml").write_text('[default]\nkey = "sec\nret\n')
    with pytest.raises(CliError) as caught:
        target_of({}, environ)
    assert "sec" not in str(caught.value)


def test_a_key_that_others_may_read_is_warned_of(environ: dict[str, str], tmp_path: Path) -> None:
    assert target_of({}, environ).warning == ""
    (tmp_path / "botsconfig.toml").chmod(0o644)
    assert "chmod 600" in target_of({}, environ).warning


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "localhost:8000", "http://", "http://me:pw@x", "http://x:99999", "http://x?a=b"],
)
def test_an_url_that_is_none_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(CliError) as caught:
        target_of({"url": url, "key": "k"}, {"XDG_CONFIG_HOME": "/nowhere"})
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("key", ["sekret with space", "sekrét", "sek\nret"])
def test_a_key_that_is_none_is_not_quoted(key: str) -> None:
    with pytest.raises(CliError) as caught:
        target_of({"key": key}, {"XDG_CONFIG_HOME": "/nowhere"})
    assert "sek" not in str(caught.value)


def test_a_key_is_not_shown_by_accident() -> None:
    assert "sekret" not in repr(Target(DEFAULT_URL, "sekret"))
