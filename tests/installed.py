"""Requirements of tests on the installation of sqsw."""

from importlib.metadata import entry_points

import pytest

needs_plugin = pytest.mark.skipif(
    not any(point.value == "sqsw.pytest_plugin" for point in entry_points(group="pytest11")),
    reason="this installation of sqsw is older than its plugin: pip install -e .",
)
