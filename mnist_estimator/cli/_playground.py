"""``mnist-estimator playground``: a page to draw on, read by a model in the browser."""

import webbrowser
from pathlib import Path
from threading import Thread
from typing import Annotated

import typer

from mnist_estimator.cli._options import Model
from mnist_estimator.cli._output import make_console


def playground(
    model: Model,
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, metavar="N", help="Port of the page; 0 for one that is free."
        ),
    ] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    runtime: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            envvar="MNIST_ESTIMATOR_WEB_RUNTIME",
            help="Folder of onnxruntime-web's files; downloaded once (14 MB) without it.",
        ),
    ] = None,
) -> None:
    """Draw digits in the browser while the model reads them; Ctrl-C ends it."""
    run(model, port, browser, runtime)


def run(path: Path, port: int, open_browser: bool, runtime: Path | None) -> None:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    path : Path
        The model file.
    port : int
        The port on 127.0.0.1; 0 for one that is free.
    open_browser : bool
        Whether to open the page in a browser.
    runtime : Path or None
        A folder that holds onnxruntime-web's files, if not the cache.
    """
    from mnist_estimator.playground import PlaygroundServer, load_web_runtime, page_files

    console = make_console()
    files = page_files(path) | load_web_runtime(runtime)
    try:
        server = PlaygroundServer(files, port)
    except OSError as error:
        raise OSError(f"Port {port} cannot be used: {error.strerror}. Choose another.") from error
    with server:
        console.print(f"Draw at {server.url} until Ctrl-C.", soft_wrap=True)
        if open_browser:
            # A browser in the terminal would not return before it is left.
            Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.print("Ended.")
