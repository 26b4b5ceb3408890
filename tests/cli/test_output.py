import pytest

from mnist_estimator._files import whole_file
from mnist_estimator.cli._output import printable, size_of


def test_control_codes_are_not_printed():
    assert printable("a\x1b[31mb\nc\x9bd é 7") == "a�[31mb�c�d é 7"


def test_size(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(1_234_567))
    assert size_of(path) == "1,235 kB"


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    with whole_file(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_finished_vanishes(tmp_path):
    path = tmp_path / "report.html"

    def write_half():
        with whole_file(path) as unfinished:
            unfinished.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with whole_file(link) as unfinished:
        unfinished.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
