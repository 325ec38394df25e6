"""Every benchmark runs against our own endpoints with tiny sizes, so that it keeps working."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TINY = {
    "servers": ["--rounds=1", "--calls=10", "--depth=50", "--only", "MemorySession", "serve"],
    "startup": ["--rounds=1", "--only", "serve"],
    "depth": ["--shallow=30", "--deep=100", "--in-flight=20", "--turns=2"],
    "memory": ["--messages=50", "--only", "MemorySession", "serve-memory"],
    "command_line": ["--rounds=1", "--rounds-of-lines=1", "--lines=30"],
    "walk": ["--list"],
    "latency": ["--messages=2", "--seconds=0.1", "--only", "LocalSession"],
}


def run(name: str, figures: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{name}", "--json", str(figures), *TINY[name]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_every_benchmark_reports_figures_and_goals(tmp_path: Path) -> None:
    # Run them together: their results do not matter here, and most of their time is imports.
    running = {name: run(name, tmp_path / name) for name in TINY}
    said = {name: process.communicate(timeout=120)[0] for name, process in running.items()}

    for name, process in running.items():
        assert process.returncode == 0, said[name]
        (report,) = json.loads((tmp_path / name).read_text())
        assert report["name"] == name
        assert all(table["rows"] for table in report["tables"]), said[name]
        # Whether a goal is met can only be measured on a quiet machine, so it is not checked.
        assert bool(report["goals"]) == (name not in ("memory", "walk")), said[name]
        assert "\ngoals\n" in said[name]


def test_a_missing_peer_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.endpoints import Endpoint, chosen

    absent = Endpoint("nobody", ("true",), needs=(tmp_path / "nobody.jar",))
    monkeypatch.setattr("benchmarks.endpoints.ENDPOINTS", (absent,))

    assert chosen([]) == []
    assert capsys.readouterr().out.startswith("absent: nobody (no ")
