"""Sphinx configuration. The site needs no network: no intersphinx, no fonts or scripts from elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]

import bench  # noqa: E402

project = "attribution-bench"
author = "The attribution-bench authors"
copyright = f"2026, {author}"
version = release = bench.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "catalogue", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]
exclude_patterns = ["_extensions", "generated", "build"]
nitpicky = False

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
add_module_names = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"attribution-bench {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
