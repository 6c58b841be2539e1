#!/usr/bin/env python3
"""Django's command line. Finds the checkout's own environment, so any Python 3.11 can start it."""

import os
import sys
from pathlib import Path

ENVIRONMENT = Path(__file__).resolve().parent / ".venv" / "bin" / "python"


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsconfig.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        if not ENVIRONMENT.exists() or Path(sys.prefix) == ENVIRONMENT.parent.parent:
            sys.exit("Django is not installed. Run `make install` first.")
        os.execv(ENVIRONMENT, [str(ENVIRONMENT), *sys.argv])
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
