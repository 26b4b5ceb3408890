"""The report: what it says, that it loads nothing, and how a browser shows it."""

import base64
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mnist_estimator import PixelScaler
from mnist_estimator.evaluation import evaluate, rank_misread
from mnist_estimator.report import write_report

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


class Page(HTMLParser):
    """The words, the tags and the links of an HTML page; fails where tags do not close."""

    NEVER_CLOSED = frozenset({"meta", "link", "img", "source", "wbr", "br"})

    def __init__(self, path):
        super().__init__()
        self.words, self.tags, self._open = [], [], []
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)
        assert not self._open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.NEVER_CLOSED:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def made(digits, tmp_path_factory):
    """A report of a pipeline with a history: its page, and what went into it."""
    X, y = digits
    classifier = make_pipeline(PixelScaler(), LogisticRegression(tol=1e-3)).fit(X[:900], y[:900])
    classifier[-1].history_ = {
        "loss": [0.8, 0.4, 0.2],
        "accuracy": [0.8, 0.9, 0.95],
        "val_loss": [0.7, 0.35, 0.4],
        "val_accuracy": [0.82, 0.91, 0.9],
    }
    path = tmp_path_factory.mktemp("report") / "report.html"
    evaluation = write_report(
        path,
        classifier,
        X[900:],
        y[900:],
        facts={"Training time": "12.3 s", "Training accuracy": "97% (with dropout on)"},
        baselines={"nearest class mean": 0.8203},
        command="mnist-estimator train --data <folder>",
        title="Digits & more",
    )
    return SimpleNamespace(
        path=path, page=Page(path), classifier=classifier, X=X[900:], y=y[900:],
        evaluation=evaluation,
    )  # fmt: skip


def test_returns_the_figures_it_shows(made):
    y_pred, probabilities = made.classifier.predict(made.X), made.classifier.predict_proba(made.X)
    assert made.evaluation == evaluate(made.y, y_pred, probabilities, classes=range(10))
    for figure in (f"{made.evaluation.accuracy:.2%}", f"{made.evaluation.log_loss:.4f}",
                   f"{made.evaluation.n_misread} of 897"):  # fmt: skip
        assert figure in made.page.text
    for sentence in str(made.evaluation).splitlines()[1:]:
        assert sentence in made.page.text


def test_facts_baselines_command_title_parameters_and_versions(made):
    text = made.page.text
    assert "Training time 12.3 s" in text
    assert "<dd>12.3 s</dd>" in made.page.html
    assert '<dd class="sentence">97% (with dropout on)</dd>' in made.page.html
    assert "nearest class mean 82.03%" in text
    assert "mnist-estimator train --data <folder>" in text
    assert text.startswith(f"Digits & more: {made.evaluation.accuracy:.2%} Digits & more")
    assert "pixelscaler__ pixel_max 'auto'" in text
    assert "logisticregression__ tol 0.001" in text
    assert re.search(r"numpy \d+\.\d+", text)
    assert "Pipeline(" not in text


def test_classes_with_best_and_worst(made):
    best, worst = made.evaluation.best, made.evaluation.worst
    assert f"{best.label} best {best.n_rows} {best.accuracy:.2%}" in made.page.text
    assert f"{worst.label} worst {worst.n_rows} {worst.accuracy:.2%}" in made.page.text
    pair = made.evaluation.confused_pairs[0]
    assert (
        f"{pair.first} ↔ {pair.second} {pair.count} {pair.first} read as {pair.second}: "
        f"{pair.first_as_second}, {pair.second} as {pair.first}: {pair.second_as_first}"
    ) in made.page.text


def test_confusion_matrix_counts_every_row(made):
    cells = re.findall(r'<td[^>]*color-mix\(in srgb, var\(--(right|wrong)\)[^>]*>([^<]*)<',
                       made.page.html)  # fmt: skip
    assert len(cells) == 100
    counts = np.array([0 if count == "·" else int(count) for _, count in cells]).reshape(10, 10)
    assert counts.sum(axis=1).tolist() == np.bincount(made.y).tolist()
    assert counts.trace() == len(made.y) - made.evaluation.n_misread
    assert [kind for kind, _ in cells[:12]] == ["right", *["wrong"] * 10, "right"]


def test_misread_images_are_those_of_the_ranking(made):
    y_pred, probabilities = made.classifier.predict(made.X), made.classifier.predict_proba(made.X)
    rows = rank_misread(made.y, y_pred, probabilities, classes=range(10))
    images = [image for image in made.page.all("img") if image["alt"].startswith("Image ")]
    assert len(images) == 24 < len(rows)
    assert "The 24 most confident of" in made.page.text
    first = rows[0]
    assert images[0]["alt"] == f"Image {first}: a {made.y[first]}, read as {y_pred[first]}"
    png = base64.b64decode(images[0]["src"].removeprefix("data:image/png;base64,"))
    ink = 255 - np.asarray(Image.open(io.BytesIO(png))).astype(int)
    drawn = made.X[first].reshape(8, 8)
    np.testing.assert_allclose(ink, drawn * 255.0 / made.X[rows[:24]].max(), atol=1)


def test_curves_have_light_and_dark_pictures_and_words(made):
    curves = [image for image in made.page.all("img") if "by epoch" in image["alt"]]
    assert [image["alt"] for image in curves] == [
        "Training loss by epoch: from 0.8 to 0.2. Validation loss by epoch: from 0.7 to 0.4. "
        "The validation loss is lowest in epoch 2 of 3.",
        "Training accuracy by epoch: from 0.8 to 0.95. Validation accuracy by epoch: from 0.82 to "
        "0.9. The validation loss is lowest in epoch 2 of 3.",
    ]
    dark = made.page.all("source")
    assert len(dark) == 2
    assert {source["media"] for source in dark} == {"screen and (prefers-color-scheme: dark)"}
    assert dark[0]["srcset"] != curves[0]["src"]


def test_everything_is_inside(made):
    assert not re.search(r"https?:|//[a-z]|@import|url\(", made.page.html.split("<body>")[0])
    for attributes in (attributes for _, attributes in made.page.tags):
        for address in ("src", "srcset", "href"):
            assert attributes.get(address, "data:").startswith("data:")
    assert not made.page.all("script")
    assert all(image["alt"] for image in made.page.all("img"))
    assert len(made.page.html) < 500_000


def test_labels_are_text_not_markup(tmp_path):
    X = np.arange(24).reshape(6, 4)
    y = ["<b>four</b>", "nine"] * 3
    classifier = LogisticRegression().fit(X, y)
    evaluation = write_report(tmp_path / "report.html", classifier, X, y)
    page = Page(tmp_path / "report.html")
    assert evaluation.n_misread
    assert "<b>four</b>" in page.text
    assert not page.all("b")
    assert "Learning curves" not in page.text
    assert "simpler methods" not in page.text
    assert not page.all("pre")


class ReadsAll(ClassifierMixin, BaseEstimator):
    """Reads the class of an image from its first pixel; knows a class that has no images."""

    classes_ = np.arange(3)

    def predict_proba(self, X):
        return np.eye(3)[X[:, 0]]

    def __sklearn_is_fitted__(self):
        return True


def test_nothing_misread_and_a_class_without_rows(tmp_path):
    X = np.array([[0, 0, 0, 0], [2, 0, 0, 0]])
    evaluation = write_report(tmp_path / "report.html", ReadsAll(), X, [0, 2])
    text = Page(tmp_path / "report.html").text
    assert evaluation.accuracy == 1
    assert "Nothing was misread." in text
    assert "nan" not in text
    assert "Most confused" not in text


def test_history_of_loss_alone_and_black_misread_images(tmp_path):
    classifier = ReadsAll()
    classifier.history_ = {"loss": [0.5]}
    write_report(tmp_path / "report.html", classifier, np.zeros((2, 4), dtype=int), [0, 1])
    page = Page(tmp_path / "report.html")
    curves = [image["alt"] for image in page.all("img") if "by epoch" in image["alt"]]
    assert curves == ["Training loss by epoch: from 0.5 to 0.5."]
    assert "All of 1 mistakes" in page.text


def test_packages_that_are_not_installed_are_left_out(made, tmp_path, monkeypatch):
    monkeypatch.setattr("mnist_estimator.report.PACKAGES", ("numpy", "no-such-package"))
    write_report(tmp_path / "report.html", made.classifier, made.X, made.y)
    text = Page(tmp_path / "report.html").text
    assert f"numpy {np.__version__}" in text
    assert "no-such-package" not in text


def test_model_file_tells_how_it_was_trained(tmp_path):
    classifier = ReadsAll()
    classifier.metadata_ = {
        "parameters": {"mlp": "KerasMLPClassifier()", "mlp__epochs": 7, "steps": "[...]"},
        "versions": {"keras": "3.6.0"},
    }
    write_report(tmp_path / "report.html", classifier, np.array([[0, 0, 0, 0]]), [0])
    text = Page(tmp_path / "report.html").text
    assert "Parameters mlp__ epochs 7 Versions" in text
    assert "keras in training 3.6.0" in text


def test_path_that_cannot_be_written(made, tmp_path):
    with pytest.raises(OSError, match="no-such-folder"):
        write_report(tmp_path / "no-such-folder" / "r.html", made.classifier, made.X, made.y)


def browse(path, profile, *options):
    """Open a page in headless Chromium; return what it printed and the messages it logged."""
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
         "--enable-logging=stderr", *options, path.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, messages


@pytest.fixture
def profile(tmp_path):
    """A new browser profile; skips where there is no browser."""
    if CHROMIUM is None:
        pytest.skip("needs a Chromium browser on the PATH (apt-get install chromium)")
    return tmp_path / "profile"


def test_browser_shows_it_without_an_error(made, profile):
    dom, messages = browse(made.path, profile, "--dump-dom")
    assert messages == []
    assert "Confusion matrix" in dom


@pytest.mark.parametrize("width", [360, 1200])
def test_browser_fits_it_to_the_screen_with_every_picture(made, profile, tmp_path, width):
    # The page itself allows no script; this copy of it does, to measure. It is shown in a frame,
    # because a window has a least width.
    script = """<script>addEventListener("load", () => {
        const page = document.documentElement;
        const broken = [...document.images].filter(image => !image.naturalWidth).length;
        console.log(`width ${innerWidth}, beyond ${page.scrollWidth - page.clientWidth},`
            + ` broken ${broken} of ${document.images.length}`);
    })</script></body>"""
    html = re.sub(r"<meta http-equiv[^>]*>", "", made.page.html).replace("</body>", script)
    (tmp_path / "measured.html").write_text(html, encoding="utf-8")
    screen = tmp_path / "screen.html"
    frame = f'<iframe src="measured.html" style="width: {width}px; height: 900px; border: 0">'
    screen.write_text(frame, encoding="utf-8")
    _, (message,) = browse(screen, profile, "--window-size=1400,1000", "--dump-dom")
    assert f"width {width}, beyond 0, broken 0 of 26" in message


def test_browser_prints_it(made, profile, tmp_path):
    printed = tmp_path / "report.pdf"
    _, messages = browse(made.path, profile, f"--print-to-pdf={printed}")
    assert messages == []
    assert printed.read_bytes().startswith(b"%PDF")
