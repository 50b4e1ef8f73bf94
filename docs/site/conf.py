"""How Sphinx makes the documentation site; `build.py` prepares its source."""

from perfmodel._layout import __version__

project, author = "perfmodel", "perfmodel contributors"
release = version = __version__
root_doc = "contents"
language = "en"
extensions = ["myst_parser"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "perfmodel"
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # a page on a disk may not read another
html_static_path = ["static"]
html_css_files = ["site.css"]
