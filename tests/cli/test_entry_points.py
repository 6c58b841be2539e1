"""How the command is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.cli.errors import Exit
from tests.cli.conftest import Shell
from tests.cli.stand_in import StandIn

ROOT = Path(__file__).parents[2]


def _run(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "botsconfig", *argv],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_module_runs_without_django_and_its_settings() -> None:
    ran = _run("--help")
    assert ran.returncode == Exit.OK
    assert ran.stdout.startswith("Usage: botsconfig ")
    code = "import sys, apps.cli.main; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_command_without_a_key_says_how_to_give_one() -> None:
    ran = _run("config", "list")
    assert ran.returncode == Exit.NOT_AUTHORISED
    assert ran.stderr.startswith("botsconfig: There is no key for http://127.0.0.1:8000. Set ")
    assert ran.stderr.count("\n") == 1


def test_a_shell_completes_commands() -> None:
    ran = _run(
        _BOTSCONFIG_COMPLETE="bash_complete", COMP_WORDS="botsconfig config re", COMP_CWORD="2"
    )
    assert ran.stdout.split() == ["plain,render", "plain,restore"]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_a_shell(shell: Shell, name: str) -> None:
    ran = shell("completion", name)
    assert ran.code == Exit.OK
    assert "_BOTSCONFIG_COMPLETE" in ran.out


@pytest.mark.parametrize("argv", [("--help",), ("config", "list"), ("config", "list", "--json")])
def test_a_reader_who_leaves_early_gets_no_complaint(
    shell: Shell, stand_in: StandIn, argv: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        ran = subprocess.run(
            [sys.executable, "-m", "botsconfig", *argv],
            cwd=ROOT,
            stdout=closed,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], **shell.environ},
            timeout=60,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (Exit.ERROR, b"")


COMMAND = Path(sys.prefix) / "bin" / "botsconfig"


@pytest.mark.skipif(not COMMAND.exists(), reason="made by `make install`")
def test_the_installed_command_runs_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "__init__.py").write_text("raise SystemExit(99)")
    link = tmp_path / "bc"
    link.symlink_to(COMMAND)
    ran = subprocess.run([link, "--help"], cwd=tmp_path, capture_output=True, check=False)
    assert ran.returncode == Exit.OK
