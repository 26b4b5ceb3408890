"""A page to draw digits on, which a model file reads in the browser while one draws."""

from mnist_estimator.playground._page import page_files
from mnist_estimator.playground._server import PlaygroundServer
from mnist_estimator.playground._web_runtime import WEB_RUNTIME_VERSION, load_web_runtime

__all__ = ["WEB_RUNTIME_VERSION", "PlaygroundServer", "load_web_runtime", "page_files"]
