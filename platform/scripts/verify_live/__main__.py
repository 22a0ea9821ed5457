# ruff: noqa: INP001, T201 - a folder that is run, in no package; it prints
"""Tests every component of a live platform: `python3 platform/scripts/verify`.

One line for each check: the cluster's own state, every row of the endpoint table from this
machine, a round trip through every store, the age of every copy, and the proof at the end.
Nothing that it writes stays. Exit code 0 when all is well, 1 when a check failed, 2 on usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import backups
import endpoints
import state
import stores
from cluster import KUBECONFIG, Cluster
from report import Check, CheckError, Report

GROUPS: dict[str, Callable[[Cluster], list[Check]]] = {
    "cluster": state.checks,
    "endpoints": endpoints.checks,
    "backups": backups.checks,
    "stores": stores.checks,
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--kubeconfig", default=KUBECONFIG, help="of an administrator (default: %(default)s)"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=GROUPS,
        help="one group of checks; may be given several times (default: all)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="longest wait for one answer of kubectl (default: %(default)s)",
    )
    return parser.parse_args()


def main() -> int:
    """Run the groups in the order in which one depends on the other."""
    chosen = arguments()
    kubeconfig = Path(chosen.kubeconfig).expanduser()
    if not kubeconfig.is_file():
        print(f"verify: no file {kubeconfig}; see runbook/bootstrap.md", file=sys.stderr)
        return 2
    cluster, report = Cluster(kubeconfig, chosen.timeout), Report()
    for name, group in GROUPS.items():
        if chosen.only and name not in chosen.only:
            continue
        try:
            checks = group(cluster)
        except CheckError as error:
            report.failed.append(f"{name}: could not begin")
            print(f"FAILED   {name}: {error}", flush=True)
            continue
        for check in checks:
            report.run(check)
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
