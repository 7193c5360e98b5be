"""Settings of Sphinx; `make docs` builds the site into ``build/docs``, without a network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

from keras_gud.version import __version__

project = "keras_gud"
author = "The keras_gud contributors"
copyright = "The keras_gud contributors"
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
    "docstrings",
    "equation_pages",
    "offline_mathematics",
    "repository_pages",
]
exclude_patterns = ["extensions"]
html_theme = "furo"
html_title = "keras_gud"
html_static_path = ["static"]
html_css_files = ["site.css"]

# Pages are Markdown; those with code cells are run, and their outputs kept in build/.
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "cache"
nb_execution_cache_path = str(Path(__file__).parents[1] / "build" / "docs-cache")
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_merge_streams = True
nb_output_stderr = "remove"  # warnings hold paths of the machine

# In docstrings, `name` is a link where the name is known, and otherwise code.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say more
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = ["Example", ("Warns", "returns_style")]

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "unsrt"
