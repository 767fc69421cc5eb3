"""Checksums of records are those of TensorBoard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as expected

from tb_modelcompare.log.checksum import masked_crc32c


@given(st.binary(min_size=4, max_size=2000))
def test_of_any_data(data: bytes) -> None:
    assert masked_crc32c(data) == expected(data)


@pytest.mark.parametrize("length", [63, 64, 65, 128, 4097, 50_000])
def test_of_any_length(length: int) -> None:
    data = bytes(range(256)) * 200
    assert masked_crc32c(data[:length]) == expected(data[:length])
