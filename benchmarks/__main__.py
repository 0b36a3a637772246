"""All benchmarks, or those that are named; each prints its section and puts it into benchmarks/results.md.

make bench                # all
make bench ONLY=deleting  # one
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import deleting, reading

RESULTS = Path(__file__).with_name("results.md")
BENCHMARKS: dict[str, Callable[[], str]] = {"reading": reading.measure, "deleting": deleting.measure}


def main(names: list[str]) -> int:
    """Measure, print, write."""
    if unknown := set(names) - set(BENCHMARKS):
        print(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        section = BENCHMARKS[name]()
        print(section)
        RESULTS.write_text(put(RESULTS.read_text() if RESULTS.exists() else "", section))
    return 0


def put(text: str, section: str) -> str:
    """The results with this section in place of the one of the same heading, or at the end."""
    sections = [part for part in re.split(r"(?m)^(?=# )", text) if part.strip()]
    heading = section.partition("\n")[0]
    kept = [section if part.partition("\n")[0] == heading else part for part in sections]
    if section not in kept:
        kept.append(section)
    return "\n".join(part.rstrip() + "\n" for part in kept)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
