"""``python -m botsconfig`` is the command line, which knows nothing of Django."""

from __future__ import annotations

import sys

from apps.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
