"""Sphinx's settings for the course's pages: see docs/site.md and tools/site.py."""

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

project = "Vision Language Models, Hands On"
html_title = project
language = "en"
extensions = ["myst_nb"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # the outputs are those that are stored
nb_render_markdown_format = "myst"

html_math_renderer = "mathml"
html_theme = "furo"
templates_path = ["templates"]
html_static_path = ["static"]
html_favicon = "static/favicon.svg"
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False


def _mathml(node, as_block):
    # Brackets grow with what they hold by themselves; docutils does not know how to ask for it.
    return tex2mathml(re.sub(r"\\[bB]igg?[lmr]?(?![A-Za-z])", "", node.astext()), as_block=as_block)


def _inline(translator, node):
    translator.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def _block(translator, node):
    translator.body.append(_mathml(node, as_block=True))
    raise nodes.SkipNode


def setup(app):
    """Formulas as MathML, which browsers show without any script or font."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
