"""Everything that an accelerator is asked for, in one run of at most 8 minutes, without network.

``KERAS_BACKEND=torch python benchmarks/accelerator.py`` runs the sections below one after the
other, each in a process of its own with a limit of time. What fails, is missing or takes too long
becomes a line of the table, and the rest goes on. After every section ``results.json`` and
``table.md`` in ``--out`` are written anew, so that a run that is killed has not been for nothing.
``--quick`` shows on a CPU that all of it runs. The sections are in `accelerator_sections.py`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

from accelerator_settings import Settings  # imports no backend: sections do, in their processes

HERE = Path(__file__).parent
# In this order, and the most seconds that each may take.
LIMITS = {
    "device": 40,
    "agreement": 90,
    "steps": 120,
    "sampling": 50,
    "first step": 40,
    "memory": 60,
    "host loop": 40,
    "tests": 60,
    "race": 240,
}
KILL_AFTER = 10  # seconds that a section which was asked to end may still take


def run_section(name: str, settings: Settings, limit: float, out: Path) -> dict:
    """Runs a section; returns its rows, and what became of it.

    Args:
        name: One of `LIMITS`.
        settings: Sizes of what is measured.
        limit: Seconds after which it is ended; rows that it has written by then are kept.
        out: Folder for its rows and what it prints.
    """
    stem = name.replace(" ", "_")
    rows, log = out / f"{stem}.jsonl", out / f"{stem}.log"
    rows.unlink(missing_ok=True)
    start = time.monotonic()
    run = _run_here if settings.in_process else _run_in_process
    state = run(name, settings, limit, rows, log)
    found = rows.read_text().splitlines() if rows.exists() else []
    return {
        "state": state,
        "seconds": round(time.monotonic() - start, 1),
        "rows": [json.loads(line) for line in found],
    }


def _run_here(name: str, settings: Settings, limit: float, rows: Path, log: Path) -> str:
    from accelerator_sections import write_section

    try:
        write_section(name, settings, rows)
    except Exception as error:
        return f"failed: {type(error).__name__}: {error}"[:160]
    return "done"


def _run_in_process(name: str, settings: Settings, limit: float, rows: Path, log: Path) -> str:
    command = [sys.executable, str(HERE / "accelerator_sections.py"), name]
    command += [json.dumps(asdict(settings)), str(rows)]
    paths = [str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with log.open("w") as printed:
        process = subprocess.Popen(
            command, env=environment, stdout=printed, stderr=subprocess.STDOUT
        )
        try:
            return f"failed: {_last_line(log)}" if process.wait(max(limit, 1.0)) else "done"
        except subprocess.TimeoutExpired:
            process.terminate()
        try:
            process.wait(KILL_AFTER)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return f"ended after {limit:.0f} s"


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:160] if lines else "without a word"


def number(value) -> str:
    """A figure with three digits, nothing for what there is not."""
    return "" if value is None else f"{value:.3g}"


def table(results: dict) -> str:
    """The results as a table in Markdown."""
    title = "| section | what | ours | beside | ratio | unit | note |"
    lines = [results["machine"], "", title, "|---" * 7 + "|"]
    for name, section in results["sections"].items():
        for row in section["rows"]:
            figures = [number(row.get(key)) for key in ("ours", "beside", "ratio")]
            cells = [name, row["what"], *figures, row.get("unit", ""), row.get("note", "")]
            lines.append("| " + " | ".join(cells) + " |")
        if section["state"] != "done":
            lines.append(f"| {name} | {section['state']} | | | | | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to show that it runs")
    parser.add_argument("--minutes", type=float, default=8.0, help="at most, for all sections")
    parser.add_argument("--only", nargs="+", choices=LIMITS, default=list(LIMITS))
    parser.add_argument("--race-minutes", type=float, default=3.0, help="of training")
    parser.add_argument("--out", type=Path, default=Path("out/accelerator"))
    arguments = parser.parse_args()
    settings = Settings.quick() if arguments.quick else Settings()
    settings.race_minutes = min(settings.race_minutes, arguments.race_minutes)
    arguments.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60.0 * arguments.minutes
    results: dict = {"backend": os.environ["KERAS_BACKEND"], "machine": "", "sections": {}}
    for name in arguments.only:
        left = end - time.monotonic()
        if left < 5.0:
            found: dict = {"state": "no time was left", "seconds": 0.0, "rows": []}
        else:
            found = run_section(name, settings, min(left, LIMITS[name]), arguments.out)
        results["sections"][name] = found
        results["machine"] = results["machine"] or next(
            (row["note"] for row in found["rows"] if row["what"] == "machine"), ""
        )
        (arguments.out / "results.json").write_text(json.dumps(results, indent=1))
        (arguments.out / "table.md").write_text(table(results))
        print(f"{name}: {found['state']}, {found['seconds']} s", flush=True)
    print("\n" + table(results))


if __name__ == "__main__":
    main()
