"""Sphinx configuration: ``sphinx-build -W -n -b html docs docs/_build/html`` makes the pages.

The build is the same with and without a network: what other projects' pages are called stands in
``_inventories/``, and nothing is fetched.
"""

import os
import re
import sys
from contextlib import chdir
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from typer.testing import CliRunner

from mnist_estimator import __version__, fetch_mnist
from mnist_estimator.cli import app as command_line
from mnist_estimator.exceptions import DatasetError

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for the parts of this file that stand beside it
logger = logging.getLogger(__name__)

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
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "benchmarks/results", "examples", "playground/node_modules"]
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

# The programs print plain lines also where the build is watched on a terminal.
os.environ["TTY_COMPATIBLE"] = "0"
# They run where MNIST is; elsewhere they are shown without results.
try:
    fetch_mnist(download_if_missing=False)
    has_mnist = True
except DatasetError as error:
    if "MNIST_ESTIMATOR_DATA" in os.environ:
        raise
    logger.info(
        "The gallery's programs are not run, and the report is that of small scans: %s", error
    )
    has_mnist = False
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "_gallery.place_in_order",
    "plot_gallery": has_mnist,
    "abort_on_example_error": True,
    "backreferences_dir": "gallery/uses",
    "doc_module": ("mnist_estimator",),
    "log_level": {"backreference_missing": "info"},
    "capture_repr": (),  # what is worth reading is printed
    "image_srcset": ["2x"],
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e6,
}

html_math_renderer = "mathml"  # browsers know it by themselves: no script from elsewhere
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_title = f"mnist_estimator {release}"
html_theme_options = {
    "logo": {"text": "mnist_estimator"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
# Pages without pages below them have nothing to show at the side.
_SINGLE_PAGES = "changelog cli deploy install playground/index quickstart training trust user_guide"
html_sidebars = {page: [] for page in ("under_the_hood/index", *_SINGLE_PAGES.split())}
html_sidebars["gallery/*"] = []  # programs need the width
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


def picture_report(app):
    """Train a network as a user would, and take pictures of the report."""
    if app.builder.format != "html":
        return
    from _screenshots import NoBrowserError, screenshots

    folder = HERE / "_build" / "report"
    folder.mkdir(parents=True, exist_ok=True)
    command = ["train", "--data", "mnist" if has_mnist else "digits", "--report", "report.html"]
    with chdir(folder):  # the report shows the command, and that has to be anybody's
        outcome = CliRunner().invoke(command_line, command, catch_exceptions=False)
    if outcome.exit_code:
        raise ExtensionError(outcome.output)
    page = (folder / "report.html").as_uri()
    try:
        screenshots(page, "report", width=1100, height=900)
        screenshots(page, "report-phone", width=390, height=900)
    except NoBrowserError as error:
        logger.warning("%s", error)


def make_playground(app):
    """Put the page to draw on together, with the network of the report, and take pictures of it."""
    if app.builder.format != "html" or not has_mnist:
        return
    import _playground
    from _screenshots import NoBrowserError

    try:
        files = _playground.site(HERE / "_build" / "report" / "digits.onnx")
        _playground.picture(files)
    except (_playground.NoRuntimeError, NoBrowserError) as error:
        logger.warning("The playground is left out: %s", error)
        return
    app.tags.add("playground")
    app.connect(
        "build-finished",
        lambda app, error: _playground.write(files, Path(app.outdir) / "playground" / "page"),
    )


def repair_backlinks(app, pagename, templatename, context, doctree):
    """Lead from the source back to the reference, also where a module's names have two homes.

    `viewcode` takes them all for those of the package that the first of them was described in.
    """
    if pagename.startswith("_modules/"):
        anchor = r'(/reference/([\w.]+\.(\w+))\.html#)[\w.]*?\.\3(?=[."])'
        context["body"] = re.sub(anchor, r"\1\2", context["body"])


def setup(app):
    """Register the above; numpydoc reads the docstrings, at priority 500, after the escaping."""
    app.add_directive("command-help", CommandHelp)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("autodoc-process-docstring", escape_shapes, priority=400)
    app.connect("builder-inited", picture_report)
    app.connect("builder-inited", make_playground)
    app.connect("html-page-context", repair_backlinks)
