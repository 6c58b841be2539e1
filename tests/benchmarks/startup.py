"""How long it takes to import botsconfig, and that no vendor's SDK comes with it.

python -m tests.benchmarks.startup
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

from tests.benchmarks.servers import ROOT
from tests.support.sdks import SDKS

GOAL_S = 1.5
PROGRAM = """
import json, sys, time
began = time.perf_counter()
import botsconfig.asgi, botsconfig.wsgi
took = time.perf_counter() - began
print(json.dumps({"seconds": took, "modules": sorted(sys.modules)}))
"""


def measure() -> tuple[float, list[str]]:
    """Import the whole application in a fresh process: seconds, and the SDKs that came along."""
    environment = {
        **os.environ,
        "ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "botsconfig.settings",
        "SECRET_KEY": "only-for-benchmarks-" + "x" * 40,
        "ENCRYPTION_KEYS": "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGU=",
        "DEBUG": "1",
    }
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, check=True, capture_output=True
    )
    found = json.loads(ran.stdout.splitlines()[-1])
    return found["seconds"], [name for name in found["modules"] if name in SDKS]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = [measure() for _ in range(parser.parse_args().runs)]
    seconds = statistics.median(took for took, _ in runs)
    print(f"import of the whole application: {seconds:.2f} s, {seconds / GOAL_S:.2f} x of {GOAL_S}")
    print("vendors' SDKs imported with it:", ", ".join(runs[0][1]) or "none")
