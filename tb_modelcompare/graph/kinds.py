"""What an op is, for drawing: its kind, from the names that frameworks give it."""

from __future__ import annotations

import re

# First match wins. Keras layers, TensorFlow ops, torch modules and functions.
_KINDS: tuple[tuple[str, str], ...] = (
    ("input", r"InputLayer|Placeholder(WithDefault)?|placeholder"),
    (
        "norm",
        r".*(Normalization|BatchNorm\w*|LayerNorm|GroupNorm|InstanceNorm\w*|RMSNorm)"
        r"|LRN|LocalResponseNorm|(batch|layer|group|instance)_norm",
    ),
    (
        "pool",
        r".*Pool(ing)?(\dD|\dd|V2)?|Mean|ReduceMean|mean|(max|avg|adaptive_avg|adaptive_max)_pool\dd",
    ),
    (
        "conv",
        r".*Conv(\dD|\dd|olution\w*|Transpose(\dd)?)?(Transpose|Native|BackpropInput)?|conv\dd",
    ),
    ("dense", r"Dense|EinsumDense|Gemm|MatMul|BatchMatMul(V\d)?|Linear|LazyLinear|linear|matmul"),
    (
        "activation",
        r"(?i:clip|(log_?)?softmax\w*|(leaky_?|p|c|r|th?resholded_?)?relu6?|r?elu|selu|celu|gelu|silu"
        r"|swish|mish|(hard_?)?(swish|sigmoid|tanh)|soft(plus|sign)|activation|hardsilu"
        r"|multiheadsoftmax)",
    ),
    ("concat", r"(?i:concat(enate|v2)?|cat)"),
    ("add", r"(?i:add(v2|n)?|average|iadd)"),
    (
        "reshape",
        r"(?i:flatten|reshape|permute|repeatvector|identity|\w*dropout\w*|gaussiannoise"
        r"|activityregularization|(\w*zero)?padding\dd|zeropad\dd|pad(v2)?|mirrorpad|cropping\dd"
        r"|upsampling\dd|rescaling|resizing|squeeze|unsqueeze|expanddims|transpose|cast|view"
        r"|output|contiguous|getitem)",
    ),
)
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
_PADDING = re.compile(r"(?i:(\w*zero)?padding\dd|zeropad\dd|pad(v2)?|mirrorpad|cropping\dd)")


def kind_of(op: str) -> str:
    """The kind (see `NODE_KINDS`) of an op by its class name; "other" if it is not a known one."""
    for kind, pattern in _PATTERNS:
        if pattern.fullmatch(op):
            return kind
    return "other"


def is_padding(op: str) -> bool:
    """Whether an op only adds or cuts a margin, which belongs to the layer after it."""
    return _PADDING.fullmatch(op) is not None
