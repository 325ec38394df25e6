"""The files for GitHub."""

import os
from typing import Any

import yaml

from tests.docs.blocks import ROOT

GITHUB = ROOT / ".github"


def read(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((GITHUB / name).read_text(encoding="utf-8"))
    return found


def test_the_workflow_runs_the_gate_and_can_only_read() -> None:
    workflow = read("workflows/ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    scripts = [step["run"].removeprefix("sudo ") for step in job["steps"] if "run" in step]
    assert scripts[-1] == ".ci/run"
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)


def test_the_issue_forms_are_complete() -> None:
    forms = sorted(path.name for path in (GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
    assert forms == ["bug.yml", "feature.yml"]
    for name in forms:
        form = read(f"ISSUE_TEMPLATE/{name}")
        assert form["name"] and form["description"]
        for field in form["body"]:
            assert field["type"] in ("markdown", "textarea")
            assert field["attributes"].get("label") or field["type"] == "markdown"
    assert (ROOT / "SECURITY.md").is_file()
