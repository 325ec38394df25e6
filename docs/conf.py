"""The Sphinx configuration, for ``.ci/docs``."""

import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docs.generated import captions, completeness, fill_in, typographic_options  # noqa: E402 - found by the line above
from sqsw.core.version import VERSION  # noqa: E402 - the same

METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "sqsw"
author = "The sqsw authors"
copyright = author
release = VERSION
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["pictures"]
# Keep quotes and dashes as typed: an option with an en dash does not work when copied.
smartquotes = False
html_theme = "furo"
html_title = f"sqsw {VERSION}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
if "Repository" in METADATA.get("urls", {}):
    html_theme_options = {
        "source_repository": METADATA["urls"]["Repository"],
        "source_branch": "main",
        "source_directory": "docs/",
    }
# Exclude outputs from copying; commands can be copied.
copybutton_selector = "div:not(.highlight-text):not(.highlight-none) > div.highlight > pre"

# Give every heading an anchor, and treat a broken link as an error.
myst_heading_anchors = 4
# Show "- [ ]" as a box.
myst_enable_extensions = ["tasklist"]
nitpicky = True
# Do not link to other projects (the standard library, boto3), because a build needs no network. Do
# not link to the narrow protocols and internal parts that signatures name either: programs do not
# create them.
nitpick_ignore_regex = [
    (r"py:(class|obj|data|exc|func)", r"(?!sqsw\.).*"),
    (r"py:.*", r"sqsw\.(transport|worker|supervisor|local)\..*"),
    (
        r"py:.*",
        r"sqsw\..*\.(ArnSource|Companion|FailureOptions|JobBatch|JobBlock|JobKey|JobMetadata|JobSender|ManageEnv"
        r"|PackTick|ProcessorQueue|QueueEnv|TaskEnv|Ticks|WallClock)",
    ),
    (r"py:.*", r"sqsw\..*\.[A-Z]"),  # type variables
]

# Sphinx looks for a target for each attribute in a docstring. Several classes have a queue_name.
suppress_warnings = ["ref.python"]

napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88


def setup(app: Sphinx) -> None:
    """Fill in the tables of contents before pages are parsed, and check the result."""
    app.connect("source-read", lambda app, name, source: fill_in(source))
    app.connect("source-read", lambda app, name, source: captions(source))
    app.connect("env-check-consistency", lambda app, env: completeness(env))
    app.connect(
        "html-page-context",
        lambda app, name, template, context, tree: typographic_options(name, context),
    )
