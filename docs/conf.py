"""Sphinx configuration: ``sphinx-build -W -n -b html docs docs/_build/html`` makes the pages.

The build is the same with and without a network: what other projects' pages are called stands in
``_inventories/``, and nothing is fetched.
"""

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.docutils import SphinxDirective
from typer.testing import CliRunner

from mnist_estimator import __version__
from mnist_estimator.cli import app as command_line

project = "mnist_estimator"
author = copyright = "The mnist_estimator developers"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
]
exclude_patterns = ["_build", "benchmarks/results"]
templates_path = ["_templates"]

# What stands in single backticks in a docstring is a link where this package or an inventory has
# that name, and code where not: parameters, arrays, other libraries' names.
default_role = "py:obj"
nitpick_ignore_regex = [("py:obj", r"(?!mnist_estimator\.|sklearn\.).*")]
# Ours and scikit-learn's full names must lead somewhere; the inventory lists those that are used.
intersphinx_mapping = {
    "sklearn": ("https://scikit-learn.org/stable/", "_inventories/scikit-learn.txt"),
}

autodoc_typehints = "none"  # the docstrings give the types, with shapes and units
autosummary_generate = True
numpydoc_show_class_members = False  # the template lists them
numpydoc_attributes_as_param_list = True

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_math_renderer = "mathml"  # browsers know it by themselves: no script from elsewhere
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_title = f"mnist_estimator {release}"
html_theme_options = {
    "logo": {"text": "mnist_estimator"},
    "navbar_align": "left",
    "header_links_before_dropdown": 9,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
# Pages without pages below them have nothing to show at the side.
_SINGLE_PAGES = "changelog cli deploy install quickstart training trust user_guide"
html_sidebars = {page: [] for page in ("under_the_hood/index", *_SINGLE_PAGES.split())}
toc_object_entries_show_parents = "hide"
html_show_sourcelink = False


class CommandHelp(SphinxDirective):
    """What a subcommand of ``mnist-estimator`` prints for ``--help``."""

    required_arguments = 1

    def run(self):
        """Return it as a block of text."""
        arguments = [self.arguments[0], "--help"]
        environment = {"COLUMNS": "80", "TERM": "dumb"}
        text = (
            CliRunner()
            .invoke(command_line, arguments, prog_name="mnist-estimator", env=environment)
            .output
        )
        return [nodes.literal_block(text, text, language="text")]


def visit_math(translator, node):
    """Write a formula of a sentence as MathML."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def visit_math_block(translator, node):
    """Write a formula that stands alone as MathML."""
    translator.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def escape_shapes(app, what, name, obj, options, lines):
    """Keep reStructuredText from reading markup into types, such as `(n_features_in_,)`."""
    for number, line in enumerate(lines):
        if entry := re.match(r"(\s*[\w*, ]+ : )(.*)", line):
            lines[number] = entry[1] + re.sub(r"\*|_(?!\w)", r"\\\g<0>", entry[2])


def setup(app):
    """Register the above; numpydoc reads the docstrings, at priority 500, after the escaping."""
    app.add_directive("command-help", CommandHelp)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("autodoc-process-docstring", escape_shapes, priority=400)
