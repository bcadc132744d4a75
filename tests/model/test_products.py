import pytest
import torch
import torch.nn.functional as F

from fabula.model.decode import weight_layout as products
from fabula.model.decode.weight_layout import PACKED_FROM, lay_out_product, packing_works


@pytest.mark.parametrize("num_rows", [1, 3, 16])
@pytest.mark.parametrize("outputs", [40, 1 + PACKED_FROM // 64])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("packing", sorted({False, packing_works(torch.float32)}))
def test_every_layout_gives_the_same_product(
    num_rows: int, outputs: int, biased: bool, dtype: torch.dtype, packing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    packing = packing and packing_works(dtype)  # a processor may have it for float32 alone
    monkeypatch.setattr(products, "packing_works", lambda dtype: packing)
    torch.manual_seed(0)
    weight, bias = torch.randn(outputs, 64).to(dtype), torch.randn(outputs).to(dtype) if biased else None
    product = lay_out_product(weight, bias, num_rows)
    for rows in {num_rows, 1, 5}:  # rows that end leave the batch, and the product stays
        x = torch.randn(rows, 64).to(dtype)
        torch.testing.assert_close(product(x), F.linear(x, weight, bias))


def test_a_torch_without_packing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        pass

    packing_works.cache_clear()
    monkeypatch.setattr(torch.ops, "mkldnn", Nothing())
    assert not packing_works(torch.float32)
    packing_works.cache_clear()
