"""prepare_digits: what comes in, what comes out, and what is refused."""

import importlib.util
import io
import re
import struct
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFile, ImageFilter
from scipy import ndimage
from sklearn.datasets import load_digits

from mnist_estimator.exceptions import ImageError
from mnist_estimator.images import _limits, _reading, prepare_digits

PAPER, INK = 230, 40


def draw_seven(size=(240, 200), width=12, box=(80, 40, 160, 170), paper=PAPER, ink=INK):
    """A grey picture of (width, height) `size` with a 7 in `box`, a height over its width 1.6."""
    image = Image.new("L", size, paper)
    left, top, right, bottom = box
    ImageDraw.Draw(image).line(
        [(left, top), (right, top), (left + (right - left) // 3, bottom)], fill=ink, width=width
    )
    return image


@pytest.fixture(scope="module")
def seven():
    return draw_seven()


@pytest.fixture(scope="module")
def expected(seven):
    """The 7 prepared: what every other form of the same picture must give as well."""
    return prepare_digits(seven)[0].astype(float)


def likeness(row, expected):
    """Correlation of two images, wherever the rounding of the centre of mass put them."""
    image = row.reshape(28, 28)
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return max(
        np.corrcoef(np.roll(image, shift, (0, 1)).ravel(), expected.ravel())[0, 1]
        for shift in shifts
    )


def encoded(image, format_, **options):
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    stream.seek(0)
    return stream


def check_recipe(row):
    """What every image of MNIST's keeps to."""
    image = row.reshape(28, 28)
    rows, columns = ndimage.find_objects((image > 0).astype(int))[0]
    assert max(rows.stop - rows.start, columns.stop - columns.start) in (19, 20)
    assert np.abs(np.array(ndimage.center_of_mass(image)) - 14).max() <= 0.51
    assert image.max() == 255


class TestRecipe:
    def test_box_centre_of_mass_and_levels(self, seven):
        X = prepare_digits(seven)

        assert X.shape == (1, 784)
        assert X.dtype == np.uint8
        check_recipe(X[0])

    def test_proportions_are_kept(self):
        upright = draw_seven(box=(100, 20, 130, 180))

        rows, columns = ndimage.find_objects(
            (prepare_digits(upright).reshape(28, 28) > 0).astype(int)
        )[0]

        assert rows.stop - rows.start == 20
        assert columns.stop - columns.start == pytest.approx(20 * 42 / 172, abs=1.5)

    @pytest.mark.parametrize("width", [1, 3, 12, 40])
    def test_strokes_come_out_about_as_wide_as_mnists(self, width):
        image = prepare_digits(draw_seven(width=width, box=(60, 40, 180, 170))).reshape(28, 28)

        # The slanted stroke, in the rows below the bar: its ink in a row is its width.
        ink = image[15:22].sum(axis=1) / 255

        assert 1.5 < np.median(ink) < 6

    @settings(max_examples=6, deadline=None, derandomize=True)
    @given(
        left=st.integers(15, 110),
        top=st.integers(15, 60),
        size=st.integers(30, 80),
        dark=st.booleans(),
    )
    def test_place_size_and_polarity_do_not_matter(self, expected, left, top, size, dark):
        colours = {"paper": PAPER, "ink": INK} if dark else {"paper": INK, "ink": PAPER}
        box = (left, top, left + size, top + int(1.6 * size))

        row = prepare_digits(draw_seven((240, 200), max(2, size // 8), box, **colours))[0]

        check_recipe(row)
        assert likeness(row, expected) > 0.7

    def test_mnists_own_images_come_back_as_they_are(self, mnist):
        images = mnist[2][:300].reshape(-1, 28, 28)

        np.testing.assert_array_equal(prepare_digits(images), images.reshape(-1, 784))
        np.testing.assert_array_equal(prepare_digits(255 - images), images.reshape(-1, 784))

    @pytest.mark.parametrize("form", ["RGB", "16 bits", "0 to 1"])
    def test_mnists_own_images_in_other_forms(self, mnist, form):
        image = mnist[2][0].reshape(28, 28)
        assert image.max() == 255 or form != "16 bits"
        forms = {
            "RGB": np.stack([255 - image] * 3, axis=-1),
            "16 bits": image.astype(np.uint16) * 257,
            "0 to 1": image / 255,
        }

        np.testing.assert_array_equal(prepare_digits(forms[form]).ravel(), image.ravel())

    def test_prepared_images_are_prepared(self, seven):
        once = prepare_digits(seven)

        np.testing.assert_array_equal(prepare_digits(once.reshape(-1, 28, 28) / 255), once)


@pytest.fixture(scope="module")
def levels():
    return np.asarray(draw_seven(ink=100).filter(ImageFilter.GaussianBlur(0.7)), dtype=float)


class TestPaper:
    """Pictures that are harder than ink on plain, evenly lit paper."""

    def close_up(self, levels, expected, at_least=0.85):
        row = prepare_digits(np.clip(levels, 0, 255).astype(np.uint8))[0]
        check_recipe(row)
        assert likeness(row, expected) > at_least

    def test_noise_and_specks(self, levels, expected, rng):
        noisy = levels + rng.normal(0, 12, levels.shape)
        noisy[rng.integers(0, 200, 15), rng.integers(0, 240, 15)] = 0

        self.close_up(noisy, expected)

    def test_slope_of_light_darker_than_the_ink(self, levels, expected):
        self.close_up(levels * np.linspace(1, 0.35, 240), expected)

    def test_shadow_across_the_digit(self, levels, expected):
        light = np.ones(levels.shape)
        light[:, :110] = 0.6

        self.close_up(levels * ndimage.gaussian_filter(light, 1.5), expected)

    @pytest.mark.parametrize("squared", [False, True], ids=["ruled", "squared"])
    def test_ruled_paper(self, levels, expected, squared):
        levels = levels.copy()
        levels[5::20] -= 60
        if squared:
            levels[:, 8::20] -= 60

        self.close_up(levels, expected)

    def test_faint_pen(self, expected, rng):
        faint = np.asarray(draw_seven(paper=200, ink=185), dtype=float)

        self.close_up(faint + rng.normal(0, 1.5, faint.shape), expected)

    @pytest.mark.parametrize("width", [4, 12])
    def test_faint_pen_fainter_than_noise(self, expected, rng, width):
        faint = np.asarray(draw_seven(paper=200, ink=182, width=width), dtype=float)

        self.close_up(faint + rng.normal(0, 6, faint.shape), expected, 0.7)

    @pytest.mark.parametrize("edge", ["left", "right", "top", "bottom"])
    def test_bold_digit_that_runs_into_the_edge(self, edge):
        bold = draw_seven((260, 220), width=28, box=(80, 60, 160, 170))
        ink = np.asarray(bold) < 128
        rows, columns = ndimage.find_objects(ink.astype(int))[0]
        left, top, right, bottom = columns.start, rows.start, columns.stop, rows.stop
        box = {
            "left": (left, 0, 260, 220),
            "right": (0, 0, right, 220),
            "top": (0, top, 260, 220),
            "bottom": (0, 0, 260, bottom),
        }[edge]

        row = prepare_digits(bold.crop(box))[0]

        check_recipe(row)
        assert likeness(row, prepare_digits(bold)[0].astype(float)) > 0.95

    def test_faint_and_broken_stroke(self, expected, rng):
        faint = np.asarray(draw_seven(paper=200, ink=180), dtype=float)
        faint[75:79] = 197  # the pen skipped

        self.close_up(faint + rng.normal(0, 1.5, faint.shape), expected)

    def test_mouse_stroke_one_pixel_wide(self, expected):
        self.close_up(np.asarray(draw_seven((1200, 900), 1, (500, 200, 900, 850))), expected, 0.7)

    def test_frame_around_the_picture(self, levels, expected):
        framed = levels.copy()
        framed[6:9, 6:-6] = framed[-9:-6, 6:-6] = framed[6:-6, 6:9] = framed[6:-6, -9:-6] = 20

        self.close_up(framed, expected)

    def test_sheet_of_paper_on_a_dark_table(self, levels, expected):
        table = np.full((320, 360), 50.0)
        table[60:260, 60:300] = levels

        self.close_up(table, expected)

    def test_pen_as_light_as_its_paper(self, expected):
        mask = np.asarray(draw_seven(paper=0, ink=255))[..., np.newaxis] / 255
        red, green = np.array([200, 60, 60]), np.array([60, 132, 60])

        self.close_up(red * mask + green * (1 - mask), expected)

    def test_stroke_in_two_parts(self):
        image = Image.new("L", (200, 200), PAPER)
        pen = ImageDraw.Draw(image)
        pen.line([(70, 75), (65, 100), (110, 105), (105, 160), (60, 160)], fill=INK, width=9)
        pen.line([(95, 58), (140, 56)], fill=INK, width=9)  # the 5's bar, not touching

        row = prepare_digits(image)[0]
        pen.line([(70, 75), (95, 58)], fill=INK, width=9)

        check_recipe(row)
        assert likeness(row, prepare_digits(image)[0]) > 0.85


class TestInputs:
    """The same picture in every form gives the same image."""

    @pytest.mark.parametrize(
        ("mode", "format_"),
        [
            *(("L", "PNG"), ("RGB", "PNG"), ("P", "PNG"), ("1", "PNG"), ("P", "GIF")),
            *(("RGB", "JPEG"), ("RGB", "BMP"), ("RGB", "WEBP")),
            *(("L", "TIFF"), ("CMYK", "TIFF"), ("F", "TIFF")),
        ],
    )
    def test_files(self, seven, expected, tmp_path, mode, format_):
        path = tmp_path / f"seven.{format_.lower()}"
        seven.convert(mode, dither=Image.Dither.NONE).save(path, format_)

        for given_ in (path, str(path)):
            assert likeness(prepare_digits(given_)[0], expected) > 0.9

    def test_open_files(self, seven, expected):
        row = prepare_digits(encoded(seven, "PNG"))[0]

        np.testing.assert_array_equal(row, expected)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64", "float32", "float64"])
    def test_arrays_of_any_dtype(self, seven, expected, dtype):
        factor = {"uint16": 257, "float64": 1 / 255}.get(dtype, 1)

        row = prepare_digits((np.asarray(seven) * float(factor)).astype(dtype))[0]

        assert likeness(row, expected) > 0.99

    def test_boolean_arrays(self, seven, expected):
        assert likeness(prepare_digits(np.asarray(seven) > 128)[0], expected) > 0.97

    def test_sixteen_bit_png(self, seven, expected):
        deep = Image.fromarray(np.asarray(seven).astype(np.uint16) * 257)

        assert likeness(prepare_digits(encoded(deep, "PNG"))[0], expected) > 0.99

    def test_exif_rotation(self, seven, expected):
        exif = Image.Exif()
        exif[0x0112] = 6  # lies on its left side: to be turned clockwise
        file = encoded(seven.rotate(90, expand=True), "JPEG", exif=exif, quality=95)

        assert likeness(prepare_digits(file)[0], expected) > 0.95

    @pytest.mark.parametrize("ink", [(0, 0, 0), (255, 255, 255), (0, 40, 200), (250, 230, 40)])
    @pytest.mark.parametrize("beneath", ["ink", "black"])
    def test_strokes_on_a_transparent_ground(self, expected, ink, beneath):
        alpha = draw_seven(paper=0, ink=255)
        image = Image.new("RGBA", alpha.size, (*(ink if beneath == "ink" else (0, 0, 0)), 0))
        image.paste(Image.new("RGBA", alpha.size, (*ink, 255)), mask=alpha)

        assert likeness(prepare_digits(encoded(image, "PNG"))[0], expected) > 0.97

    def test_photograph_with_a_transparent_margin(self, seven, expected):
        image = Image.new("RGBA", (260, 220), (0, 0, 0, 0))
        image.paste(seven, (10, 10))

        assert likeness(prepare_digits(image)[0], expected) > 0.9

    def test_grey_and_alpha_array(self, expected):
        alpha = np.asarray(draw_seven(paper=0, ink=255))

        row = prepare_digits(np.stack([np.zeros_like(alpha), alpha], axis=-1))[0]

        assert likeness(row, expected) > 0.97

    def test_palette_with_a_transparent_colour(self, expected):
        image = draw_seven(paper=255, ink=0).convert("P")

        row = prepare_digits(encoded(image, "PNG", transparency=255))[0]

        assert likeness(row, expected) > 0.97

    def test_large_photographs_are_scaled_down(self, seven, expected):
        large = seven.resize((4800, 4000))

        for file in (large, encoded(large.convert("RGB"), "JPEG")):
            assert likeness(prepare_digits(file)[0], expected) > 0.9

    def test_lists_stacks_and_mixtures(self, seven, expected):
        array = np.asarray(seven)

        for pictures in ([seven, array], np.stack([array, array]), (p for p in (array, seven))):
            X = prepare_digits(pictures)
            assert X.shape == (2, 784)
            np.testing.assert_array_equal(X, [expected, expected])
        colours = np.stack([np.stack([array] * 3, axis=-1)] * 2)
        assert prepare_digits(colours).shape == (2, 784)
        assert prepare_digits([]).shape == (0, 784)


class TestRefused:
    """What is no picture of one digit, and what is said about it."""

    @pytest.mark.parametrize("shape", [(1, 1), (50, 40), (28, 28, 3)])
    def test_one_colour(self, shape):
        with pytest.raises(ImageError, match=r"no digit in it: all its .* are of one colour"):
            prepare_digits(np.full(shape, 7, dtype=np.uint8))

    def test_noise_alone(self, rng):
        with pytest.raises(ImageError, match="no digit in it"):
            prepare_digits(rng.normal(128, 10, (200, 150)))

    def test_uneven_light_alone(self):
        with pytest.raises(ImageError, match="no digit in it"):
            prepare_digits(np.add.outer(np.linspace(0, 90, 200), np.linspace(0, 90, 150)))

    @pytest.mark.parametrize("noise", [0, 3])
    @pytest.mark.parametrize("squared", [False, True], ids=["ruled", "squared"])
    def test_lines_of_paper_alone(self, rng, squared, noise):
        page = np.full((300, 400), 235.0)
        page[10::30] -= 60
        if squared:
            page[:, 10::30] -= 60

        with pytest.raises(ImageError, match="no digit in it"):
            prepare_digits(page + rng.normal(0, noise, page.shape))

    def test_wide_soft_shadow_alone(self):
        light = np.full((300, 400), 220.0)
        light[:, 250:] = 120

        with pytest.raises(ImageError, match="no digit in it"):
            prepare_digits(ndimage.gaussian_filter(light, 8))

    def test_page_of_writing(self):
        page = Image.new("L", (700, 900), PAPER)
        small = draw_seven((40, 44), 3, (8, 6, 26, 36))
        for top in range(60, 840, 50):
            for left in range(50, 620, 40):
                page.paste(small, (left, top))

        with pytest.raises(ImageError, match="no digit in it"):
            prepare_digits(page)

    def test_nothing_visible(self):
        with pytest.raises(ImageError, match="no digit in it: every pixel is transparent"):
            prepare_digits(Image.new("RGBA", (30, 30)))

    def test_line(self):
        page = np.full((100, 200), 255, dtype=np.uint8)
        page[50:55, 40:160] = 0

        with pytest.raises(ImageError, match="times as wide as it is high"):
            prepare_digits(page)

    def test_several_digits(self, seven):
        pair = Image.new("L", (480, 200), PAPER)
        pair.paste(seven, (0, 0))
        pair.paste(seven, (160, 0))

        with pytest.raises(ImageError, match="picture 0: there seem to be 2 digits in it; this"):
            prepare_digits(pair)

    def test_too_many_pixels_is_said_before_decoding(self, tmp_path, monkeypatch):
        path = tmp_path / "huge.png"
        Image.new("1", (20_000, 20_000)).save(path)
        wide = encoded(Image.new("1", (20_000, 6_000)), "PNG")
        monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))

        with pytest.raises(
            ImageError, match=r"pixels; the limit is 100,000,000 for such a file\. Scale"
        ):
            prepare_digits(path)
        with pytest.raises(ImageError, match="20,000 × 6,000 pixels; the limit is 100,000,000"):
            prepare_digits(wide)
        with pytest.raises(ImageError, match="the limit is"):
            prepare_digits(np.broadcast_to(np.uint8(0), (20_000, 20_000)))

    @pytest.mark.parametrize(
        ("mode", "side", "format_", "options", "limit"),
        [
            ("RGB", 5_500, "PNG", {}, "30,000,000"),
            ("F", 4_000, "TIFF", {"compression": "tiff_adobe_deflate"}, "15,000,000"),
            ("RGB", 3_000, "WEBP", {"lossless": True, "method": 0}, "7,500,000"),
            ("P", 8_000, "GIF", {}, "60,000,000"),
            ("RGB", 4_500, "JPEG", {"progressive": True}, "20,000,000"),
        ],
    )
    def test_what_would_take_much_memory_is_not_decoded(
        self, monkeypatch, mode, side, format_, options, limit
    ):
        bomb = encoded(Image.new(mode, (side, side)), format_, **options)
        monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))

        with pytest.raises(ImageError, match=f"{side:,} pixels; the limit is {limit} for such a"):
            prepare_digits(bomb)

    def test_long_thin_photograph(self):
        # Its short side is too short for a smaller decoding.
        with pytest.raises(ImageError, match="the limit is 30,000,000"):
            prepare_digits(encoded(Image.new("RGB", (60_000, 600)), "JPEG"))

    def test_photograph_of_which_each_colour_is_a_scan(self, seven, monkeypatch):
        data = encoded(seven.convert("RGB"), "JPEG").getvalue()
        scan = data.index(b"\xff\xda")
        assert data[scan + 4] == 3
        monkeypatch.setattr(_limits, "_MAX_DECODED_BYTES", 4 * seven.width * seven.height)
        assert prepare_digits(io.BytesIO(data)).shape == (1, 784)
        one_by_one = data[:scan] + b"\xff\x00\xff\xff\xda\0\x08\x01" + data[scan + 5 :]

        with pytest.raises(ImageError, match="the limit is 32,000 for such a file"):
            prepare_digits(io.BytesIO(one_by_one))

    def test_photograph_of_a_thousand_scans(self, seven):
        data = encoded(seven, "JPEG", progressive=True).getvalue()
        last = data.rindex(b"\xff\xda")

        with pytest.raises(ImageError, match="it has too many scans for a JPEG picture"):
            prepare_digits(io.BytesIO(data[:last] + data[last:-2] * 1_000 + data[-2:]))

    def test_pixels_written_as_text(self, seven, expected):
        levels = " ".join(map(str, np.asarray(seven).ravel().tolist()))
        text = f"P2 {seven.width} {seven.height} 255\n{levels}\n".encode()
        np.testing.assert_array_equal(prepare_digits(io.BytesIO(text))[0], expected)
        with pytest.raises(ImageError, match=r"its pixels written out as text\. Save it as PNG"):
            prepare_digits(io.BytesIO(b"P2 1200 1200 9 " + b"9 0 9 " * 800_000))
        with pytest.raises(ImageError, match="the file is damaged or cut short"):
            prepare_digits(io.BytesIO(b"P2 3 9 9 " + b"9 0 9 " * 4))

    def test_offsets_beyond_all_files(self, seven):
        tiff = bytearray(encoded(seven, "TIFF").getvalue())
        tag = tiff.index(struct.pack("<HHI", 273, 4, 1))  # where its pixels start
        tiff[tag + 2 : tag + 12] = struct.pack("<HII", 16, 1, len(tiff))  # in eight bytes
        tiff += b"\xff" * 8

        with pytest.raises(ImageError, match="the file is damaged or cut short"):
            prepare_digits(io.BytesIO(tiff))

    def test_large_file(self, monkeypatch):
        monkeypatch.setattr(_reading, "MAX_FILE_BYTES", 2**20)
        with pytest.raises(ImageError, match="the file has more than 1 MiB"):
            prepare_digits(io.BytesIO(bytes(2**20 + 1)))
        with pytest.raises(ImageError, match="the file has more than 1 MiB"):
            prepare_digits("/dev/zero")

    def test_programs_are_not_run(self, tmp_path):
        # Pillow hands PostScript to Ghostscript.
        (tmp_path / "seven.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
        with pytest.raises(ImageError, match="no known picture format"):
            prepare_digits(tmp_path / "seven.eps")

    @pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measured by Linux")
    def test_the_largest_picture_takes_less_than_200_mb(self, memory_above):
        # A palette with transparency, which is converted to four bytes a pixel.
        picture = Image.new("P", (10_000, 10_000))
        picture.putpalette(range(9))
        bomb = encoded(picture, "PNG", transparency=b"\0\x80", compress_level=1)
        del picture

        with memory_above() as megabytes, pytest.raises(ImageError, match="is transparent"):
            prepare_digits(bomb)

        assert megabytes() < 200

    @pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"])
    def test_truncated_file(self, seven, tmp_path, format_):
        path = tmp_path / "cut.png"
        data = encoded(seven.convert("RGB"), format_).getvalue()
        path.write_bytes(data[: len(data) // 2])

        with pytest.raises(ImageError, match=r"cut\.png: (the file is damaged|no known picture)"):
            prepare_digits(path)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"%PDF-1.7\n...", "this is a PDF document: save the page as PNG or JPEG"),
            (b"<?xml version='1.0'?><svg></svg>", "this is an SVG drawing"),
            (b"PK\x03\x04....", "this is a ZIP archive"),
            (b"\0\0\0\x18ftypheic....", "this is a HEIC photograph"),
            (b"a,b\n1,2\n", "no known picture format, whatever its name says; expected a path"),
            (b"", "the file is empty"),
        ],
    )
    def test_mislabelled_file(self, tmp_path, data, message):
        path = tmp_path / "digit.png"
        path.write_bytes(data)

        with pytest.raises(ImageError, match=f"digit.png: {message}"):
            prepare_digits(path)

    def test_animated_gif(self, seven):
        film = encoded(seven, "GIF", save_all=True, append_images=[seven.rotate(5), seven])

        with pytest.raises(ImageError, match="it has several frames or pages; save the one"):
            prepare_digits(film)

    def test_folder_and_missing_file(self, tmp_path):
        with pytest.raises(ImageError, match="this is a folder; give the picture files in it"):
            prepare_digits(tmp_path)
        with pytest.raises(FileNotFoundError):
            prepare_digits(tmp_path / "nothing.png")

    @pytest.mark.parametrize("shape", [(5,), (1, 5, 5, 9), (1, 2, 3, 4, 5), (0, 7)])
    def test_array_of_no_pictures_shape(self, shape):
        with pytest.raises(ImageError, match="an array of shape"):
            prepare_digits(np.zeros(shape))

    def test_missing_pixels(self):
        with pytest.raises(ImageError, match="missing"):
            prepare_digits(np.full((9, 9), np.nan))

    @pytest.mark.parametrize(
        ("what", "message"),
        [
            (3, "Got 'int' for a picture; expected a path"),
            ([None], "Got 'NoneType' for a picture"),
            (np.array([["a"]]), "Got an array of dtype <U1"),
            (io.StringIO("text"), "opened as text"),
        ],
    )
    def test_no_kind_of_picture(self, what, message):
        with pytest.raises(TypeError, match=message):
            prepare_digits(what)

    def test_the_message_says_which_of_many(self, seven):
        with pytest.raises(ImageError, match="picture 1: no digit in it"):
            prepare_digits([seven, np.zeros((5, 5))])


@pytest.fixture
def memory_above():
    """A block's context that gives the most memory in MB held in it, above that before it."""

    def held(which):
        status = Path("/proc/self/status").read_text()
        return int(re.search(rf"{which}:\s+(\d+)", status)[1]) / 1024

    @contextmanager
    def measured():
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before = held("VmRSS")
        yield lambda: held("VmHWM") - before

    return measured


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def handwriting():
    """The benchmark script, whose renderer makes photographs of MNIST's digits."""
    path = Path(__file__).parents[1] / "docs" / "benchmarks" / "handwriting.py"
    spec = importlib.util.spec_from_file_location("handwriting", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class NearestNeighbour:
    """The simplest classifier that needs no training."""

    def __init__(self, X, y):
        self.X = X.astype(np.float32)
        self.X /= np.linalg.norm(self.X, axis=1, keepdims=True)
        self.y = y

    def predict(self, X):
        return self.y[(X.astype(np.float32) @ self.X.T).argmax(axis=1)]


def test_photographs_of_mnists_digits_are_read(mnist, handwriting):
    X_train, y_train, X_test, y_test = mnist
    rng = np.random.default_rng(0)
    digits = X_test[:40].reshape(-1, 28, 28)
    pictures = [handwriting.photograph(digit, rng) for digit in digits]

    share = handwriting.measure(
        NearestNeighbour(X_train[:20_000], y_train[:20_000]), pictures, y_test[:40].tolist()
    )

    assert share >= 0.9


def test_small_scans_enlarged_are_read():
    """Their strokes are soft, and their edges steep in one place and flat in another."""
    scans = np.uint8(255 - load_digits().images[:20] * 15)
    for scan in scans:
        soft = Image.fromarray(scan).resize((120, 120), Image.Resampling.BICUBIC)
        check_recipe(prepare_digits(np.pad(soft, 40, constant_values=255))[0])
