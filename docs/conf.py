"""How the site of these docs is built: `make docs`."""  # noqa: INP001 - Sphinx runs it, nobody imports it

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

project = "affectline"
html_title = "affectline"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["notebooks"]
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
# Links to files of the checkout, which are no pages: they stay as they are.
suppress_warnings = ["myst.xref_missing"]
