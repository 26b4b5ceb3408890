import gzip
import os
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mnist_estimator.datasets._idx import parse_idx, read_bytes


@given(
    arrays(np.uint8, array_shapes(min_dims=1, max_dims=1) | array_shapes(min_dims=3, max_dims=3))
)
def test_parse_gives_back_what_was_written(to_idx, values):
    content = to_idx(values)
    parsed = parse_idx(content)
    np.testing.assert_array_equal(parsed, values, strict=True)
    assert parsed.flags.writeable
    assert not np.shares_memory(parsed, np.frombuffer(content, np.uint8))
    assert parsed.ctypes.data % 64 == 0  # so that TensorFlow takes it where it lies


@given(
    st.builds(
        lambda type_code, n_axes, rest: bytes([0, 0, type_code, n_axes]) + rest,
        st.sampled_from([0x08, 0x0D]) | st.integers(0, 255),
        st.sampled_from([1, 3]) | st.integers(0, 255),
        st.binary(max_size=40),
    )
    | st.binary(max_size=40)
)
def test_parse_believes_no_header(content):
    try:
        values = parse_idx(content)
    except ValueError:
        return
    assert content.endswith(values.tobytes())
    assert values.size == len(content) - 4 - 4 * values.ndim > 0


@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=3)), st.data())
def test_parse_notices_every_cut_and_every_addition(to_idx, values, data):
    content = to_idx(values)
    n_kept = data.draw(st.integers(0, len(content) - 1))
    for wrong in (content[:n_kept], content + b"\0"):
        with pytest.raises(ValueError, match="IDX header"):
            parse_idx(wrong)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"does not start with an IDX header but with b''"),
        (b"<!DOCTYPE html>", r"but with b'<!DOCTYP'"),
        (b"\0\0\x0d\x03" + bytes(12), r"3 axes of value type 0x0d; expected .* 0x08"),
        (b"\0\0\x08\x02" + bytes(8), r"2 axes of value type 0x08; expected labels \(1 axis\)"),
        (b"\0\0\x08\x03" + bytes(8), r"ends after 12 bytes, within its IDX header"),
        (
            struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 28, 28) + bytes(784),
            r"promises 4,294,967,295 × 28 × 28 = 3,367,254,359,280 bytes, and 784 follow",
        ),
        (
            struct.pack(">BBBB3I", 0, 0, 8, 3, 0, 2**32 - 1, 2**32 - 1),
            r"promises 0 × .* = 0 bytes, and 0 follow",
        ),
    ],
)
def test_parse_says_what_is_wrong(content, message):
    with pytest.raises(ValueError, match=message):
        parse_idx(content)


@pytest.mark.parametrize("name", ["digits", "digits.gz"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_read_bytes_looks_at_the_content_and_not_at_the_name(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack(b"0123456789"))
    assert read_bytes(path, max_bytes=10) == b"0123456789"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_read_bytes_stops_at_the_limit(tmp_path, pack):
    path = tmp_path / "digits"
    path.write_bytes(pack(bytes(1_000_000)))
    with pytest.raises(ValueError, match="more than the 1,000 bytes expected"):
        read_bytes(path, max_bytes=1_000)


def cut(compressed):
    return compressed[:-20]


def flip(compressed):
    middle = len(compressed) // 2
    return compressed[:middle] + bytes([compressed[middle] ^ 0xFF]) + compressed[middle + 1 :]


def garble_header(compressed):
    return compressed[:2] + b"\0" + compressed[3:]


def double(compressed):
    return compressed * 2


def name_without_end(compressed):
    return compressed[:3] + b"\x08" + compressed[4:10] + b"a" * 1_000


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "its gzip stream is cut short"),
        (flip, "its gzip stream is damaged"),
        (garble_header, "its gzip stream is damaged"),
        (double, "something follows its gzip stream"),
        (name_without_end, "its gzip stream is cut short"),
    ],
)
def test_read_bytes_notices_damaged_gzip(tmp_path, damage, message):
    path = tmp_path / "digits.gz"
    path.write_bytes(damage(gzip.compress(os.urandom(1_000))))
    with pytest.raises(ValueError, match=message):
        read_bytes(path, max_bytes=1_000)


def test_zeros_behind_gzip_are_padding(tmp_path):
    path = tmp_path / "digits.gz"
    path.write_bytes(gzip.compress(b"0123456789") + bytes(100))
    assert read_bytes(path, max_bytes=10) == b"0123456789"


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"", mtime=0) * 500_000,
        gzip.compress(b"0", mtime=0) + gzip.compress(b"", mtime=0) * 500_000,
        b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 10_000_000,
        gzip.compress(bytes(100_000_000)),
    ],
    ids=["empty streams", "one stream and empty ones", "name without end", "bomb"],
)
def test_read_bytes_goes_no_further_than_one_stream(tmp_path, content):
    path = tmp_path / "digits.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"follows its|cut short|more than the 47,040,016 bytes"):
        read_bytes(path, max_bytes=47_040_016)
