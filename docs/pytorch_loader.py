"""Compressed weights of `farfield compress` in PyTorch (layout: docs/compression.md). NumPy reads the file; torch is needed for the layers only."""
import json

import numpy as np

KINDS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I16": np.int16, "I32": np.int32}


def read(path):
    """All tensors by name, as NumPy arrays (bf16 widened to f32), and the records of the compressed weights."""
    raw = open(path, "rb").read()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        part = raw[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]]
        if entry["dtype"] == "BF16":
            array = (np.frombuffer(part, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            array = np.frombuffer(part, KINDS.get(entry["dtype"], np.uint8))
        tensors[name] = array.reshape(entry["shape"]) if entry["dtype"] in (*KINDS, "BF16") else array
    return tensors, json.loads(metadata.get("farfield.compress", '{"tensors": []}'))["tensors"]


def blocks(tensors, record):
    """The blocks of a weight: (rows of W, columns of W, D or (U, V)), with W[rows][:, columns] = D or U V^T."""
    name, shape = record["name"] + ".ff.", record["shape"]
    m, n = shape[0], int(np.prod(shape[1:]))
    if record["kind"] == "svd":
        return [(np.arange(m), np.arange(n), (tensors[name + "U"], tensors[name + "V"]))]
    rows = tensors.get(name + "rows", np.arange(m)).astype(np.int64)
    cols = tensors.get(name + "cols", np.arange(n)).astype(np.int64)
    values, at, out = tensors[name + "values"], 0, []

    def take(*size):
        nonlocal at
        at += size[0] * size[1]
        return values[at - size[0] * size[1]:at].reshape(size)

    for r, p, c, q, k in tensors[name + "blocks"].astype(np.int64):
        content = take(p, q) if k < 0 else (take(p, k), take(q, k))
        out.append((rows[r:r + p], cols[c:c + q], content))
    return out


def dense(tensors, record):
    """The weight, multiplied out."""
    w = np.zeros((record["shape"][0], int(np.prod(record["shape"][1:]))))
    for rows, cols, content in blocks(tensors, record):
        d = content[0].astype(float) @ content[1].astype(float).T if isinstance(content, tuple) else content
        w[np.ix_(rows, cols)] = d
    return w.reshape(record["shape"])


def linear(tensors, record, bias=None):
    """A torch module for y = x W^T + b that multiplies by the factors, all of them trainable."""
    import torch

    class FactoredLinear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.places, self.parts = [], torch.nn.ParameterList()
            for rows, cols, content in blocks(tensors, record):
                content = content if isinstance(content, tuple) else (content,)
                self.places.append((torch.from_numpy(rows), torch.from_numpy(cols), len(content)))
                self.parts.extend(torch.nn.Parameter(torch.from_numpy(part.copy())) for part in content)
            self.bias = None if bias is None else torch.nn.Parameter(torch.from_numpy(bias.copy()))

        def forward(self, x):
            y = x.new_zeros(*x.shape[:-1], record["shape"][0])
            parts = iter(self.parts)
            for rows, cols, count in self.places:
                first, z = next(parts), x[..., cols]
                z = z @ first.T if count == 1 else z @ next(parts) @ first.T
                y = y.index_add(-1, rows, z)
            return y if self.bias is None else y + self.bias

    return FactoredLinear()
