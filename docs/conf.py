"""How Sphinx builds these pages: ``.ci/docs``."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docs.generated import captions, completeness, fill_in  # noqa: E402 - found by the line above

project = "sqsw"
author = "The sqsw authors"
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["pictures"]
html_theme = "furo"
html_title = "sqsw"
html_show_sourcelink = False

# Every place on a page can be linked to, and a link that leads nowhere is an error.
myst_heading_anchors = 4
nitpicky = True
# What is not ours (the standard library, boto3) is not linked to: a build needs no network.
# Nor are the narrow protocols and the inner parts that signatures name: no program makes one.
nitpick_ignore_regex = [
    (r"py:(class|obj|data|exc|func)", r"(?!sqsw\.).*"),
    (r"py:.*", r"sqsw\.(transport|worker|supervisor|local)\..*"),
    (
        r"py:.*",
        r"sqsw\..*\.(ArnSource|FailureOptions|JobKey|JobSender|ManageEnv|ProcessorQueue|QueueEnv"
        r"|TaskEnv)",
    ),
    (r"py:.*", r"sqsw\..*\.[A-Z]"),  # type variables
]

napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88


def setup(app: Sphinx) -> None:
    """Write the generated parts of pages before they are parsed."""
    app.connect("source-read", lambda app, name, source: fill_in(source))
    app.connect("source-read", lambda app, name, source: captions(source))
    app.connect("env-check-consistency", lambda app, env: completeness(env))
