"""`python -m hashyard_support.matrix_command`: all faults and all kills, a table, and one JSON line at the end."""

import argparse
import asyncio
import json
import sys
from collections import Counter

from hashyard_support.enforcement import FAMILIES
from hashyard_support.fault_matrix import FAULTS, Outcome, cases, run_all, table
from hashyard_support.kill_matrix import kills, run_kills

FAULT_OCTET = 1
KILL_OCTET = 40


def main() -> None:
    """Run the matrix; exit code 1 with any violation. Needs root, for miners answer on port 80."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", nargs="*", default=sorted(FAMILIES), choices=sorted(FAMILIES))
    parser.add_argument("--faults", nargs="*", default=[fault.name for fault in FAULTS])
    parser.add_argument("--kills", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    outcomes = asyncio.run(_run(options))
    violations = Counter(problem for outcome in outcomes for problem in outcome.violations)
    print(table(outcomes))
    print(
        json.dumps(
            {
                "cases": len(outcomes),
                "violations": sum(violations.values()),
                "not_restorable_reported": sum(1 for outcome in outcomes if outcome.not_restorable),
                "families": len({outcome.family for outcome in outcomes}),
            }
        )
    )
    sys.exit(1 if violations else 0)


async def _run(options: argparse.Namespace) -> list[Outcome]:
    faults = [fault for fault in FAULTS if fault.name in options.faults]
    outcomes = await run_all(cases(options.families, faults), third_octet=FAULT_OCTET, shown=True)
    if options.kills:
        outcomes += await run_kills(options.families, kills(), third_octet=KILL_OCTET, shown=True)
    return outcomes


if __name__ == "__main__":
    main()
