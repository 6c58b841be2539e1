"""The command ``botsconfig``: its root, and how errors become exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import click

from apps.cli.calls import calls
from apps.cli.completion import completion
from apps.cli.configs import configs
from apps.cli.credentials import credentials
from apps.cli.dialling import calls_dial, calls_hang_up
from apps.cli.errors import CliError, Exit
from apps.cli.folders import apply_command, export_command, plan_command
from apps.cli.keys import keys
from apps.cli.lookups import audit, providers
from apps.cli.options import Root
from apps.cli.retries import Clock, WallClock
from apps.cli.session import Session
from apps.cli.tools import config_test_tool

configs.add_command(config_test_tool)
calls.add_command(calls_dial)
calls.add_command(calls_hang_up)


@click.group(cls=Root)
def root() -> None:
    """Phone voice bots from the command line.

    The key comes from BOTSCONFIG_KEY, BOTSCONFIG_KEY_FILE or a profile in
    ~/.config/botsconfig.toml, the server from BOTSCONFIG_URL or the same profile. The options
    below may also stand after any command.

    \b
    Exit codes:
      0  done; plan: nothing would change
      1  error
      2  plan: something would change
      3  no key, a wrong one, or one that may not do this
      4  not found
      5  conflict: someone else's change, or not possible now
      6  rate limited, after waiting and trying again
      7  the server cannot be reached, or does not answer
     64  the command line itself is wrong
    """


for _command in (
    *(configs, calls, keys, credentials, audit, providers),
    *(plan_command, apply_command, export_command, completion),
):
    root.add_command(_command)


def main(
    argv: Sequence[str] | None = None,
    *,
    clock: Clock | None = None,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Run one command and return its exit code. argv: without the program's name."""
    session = Session(clock=clock or WallClock(), environ=environ)
    try:
        outcome = root.main(
            args=None if argv is None else list(argv),
            prog_name="botsconfig",
            obj=session,
            standalone_mode=False,
        )
        sys.stdout.flush()
    except click.UsageError as exc:
        exc.show()
        return Exit.USAGE
    except click.ClickException as exc:
        exc.show()
        return Exit.ERROR
    except click.Abort:
        session.out.note("Stopped.")
        return Exit.ERROR
    except CliError as exc:
        _say(session, exc)
        return exc.code
    except BrokenPipeError:
        # The reader has what it wanted (head, less). Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.ERROR
    finally:
        session.close()
    return int(outcome) if isinstance(outcome, int) else Exit.OK


def _say(session: Session, exc: CliError) -> None:
    session.out.note(f"botsconfig: {exc}")
    for detail in exc.details:
        session.out.note(f"  {detail}")
