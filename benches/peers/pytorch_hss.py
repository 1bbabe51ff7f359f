"""The workloads of `farfield bench` in PyTorch, in turn with farfield's, in one run.

    pip install torch numpy
    cargo build --release
    python benches/peers/pytorch_hss.py --farfield target/release/farfield [W1 W2 ...] [--compile]

For each workload: median milliseconds of a training step (forward, mean squared error, backward, clipping by the global norm, AdamW) and of a
forward pass without gradients, of farfield, PyTorch, farfield, PyTorch, ... on the same number of threads, and the ratio of the medians. The
PyTorch network is the same mathematics with batched matrix products, all terms of eq. 1 in one product a level. (Its modes run from the last
axis to the first, which changes nothing.) glibc's allocator is told to keep freed memory, without which PyTorch spends its time in page faults.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import torch

WORKLOADS = {
    # dims, batch, n, levels, rank, outer rank, depth
    "W1": (1, 256, 256, 3, 2, 1, 3),
    "W2": (1, 256, 1024, 3, 32, 1, 4),
    "W3": (2, 128, 64, 2, 2, 8, 3),
    "W4": (3, 1, 128, 2, 4, 2, 1),
    "W4b4": (3, 4, 128, 2, 4, 2, 1),
}


class Hss(torch.nn.Module):
    """`terms` HSS matrices on `2^levels` equal leaves each, applied to the last axis of `(terms or 1, vectors, n)`."""

    def __init__(self, terms, n, levels, rank):
        super().__init__()
        self.terms, self.n, self.levels, self.rank = terms, n, levels, rank
        make = lambda *shape: torch.nn.Parameter(torch.randn(*shape) / shape[-1] ** 0.5)
        sizes = [2 * rank] * levels + [n >> levels]
        self.d = torch.nn.ParameterList([make(terms, 2**l, sizes[l], sizes[l]) for l in range(levels + 1)])
        self.u = torch.nn.ParameterList([make(terms, 2**l, sizes[l], rank) for l in range(1, levels + 1)])
        self.v = torch.nn.ParameterList([make(terms, 2**l, sizes[l], rank) for l in range(1, levels + 1)])

    def forward(self, x):
        terms, vectors, r = self.terms, x.shape[1], self.rank
        # (terms or 1, nodes, vectors, numbers of a node)
        at = [None] * (self.levels + 1)
        at[self.levels] = x.reshape(x.shape[0], vectors, 2**self.levels, -1).transpose(1, 2)
        for l in range(self.levels, 0, -1):
            z = at[l] @ self.v[l - 1]
            at[l - 1] = z.reshape(terms, 2 ** (l - 1), 2, vectors, r).transpose(2, 3).reshape(terms, 2 ** (l - 1), vectors, 2 * r)
        y = at[0] @ self.d[0].transpose(2, 3)
        for l in range(1, self.levels + 1):
            w = y.reshape(terms, 2 ** (l - 1), vectors, 2, r).transpose(2, 3).reshape(terms, 2**l, vectors, r)
            y = at[l] @ self.d[l].transpose(2, 3) + w @ self.u[l - 1].transpose(2, 3)
        return y.transpose(1, 2).reshape(terms, vectors, self.n)


class Layer(torch.nn.Module):
    """Eq. 1 of Neural-HSS with a learnable LeakyReLU slope; all terms of the sum in one product."""

    def __init__(self, dims, n, levels, rank, outer_rank):
        super().__init__()
        self.dims, self.n, self.terms = dims, n, outer_rank
        self.modes = torch.nn.ModuleList(Hss(outer_rank, n, levels, rank) for _ in range(dims))
        self.slope = torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        batch = x.shape[0]
        y = x.reshape(1, batch, *[self.n] * self.dims)
        for matrix in self.modes:
            # The axis of this mode is the last; afterwards it goes to the front of the grid, so the next one is the last.
            terms = y.shape[0]
            y = matrix(y.reshape(terms, -1, self.n))
            y = y.reshape(self.terms, batch, *[self.n] * self.dims).movedim(-1, 2)
        total = y.sum(0)
        return torch.where(total > 0, total, self.slope * total)


def median_ms(f, seconds):
    for _ in range(3):
        f()
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds or len(times) < 7:
        before = time.perf_counter()
        f()
        times.append((time.perf_counter() - before) * 1e3)
    return statistics.median(times)


def torch_row(name, compiled):
    dims, batch, n, levels, rank, outer_rank, depth = WORKLOADS[name]
    torch.manual_seed(0)
    net = torch.nn.Sequential(*[Layer(dims, n, levels, rank, outer_rank) for _ in range(depth)])
    parameters = list(net.parameters())
    run = torch.compile(net) if compiled else net
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, foreach=True)
    x, target = torch.randn(batch, *[n] * dims), torch.randn(batch, *[n] * dims)

    def step():
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.mse_loss(run(x), target).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    def forward():
        with torch.no_grad():
            run(x)

    return {"train_ms": median_ms(step, 3.0), "forward_ms": median_ms(forward, 1.5)}


def farfield_row(program, name, threads):
    command = [program, "bench", name, "--precision", "f32", "--json", "--threads", str(threads)]
    best = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return best[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--farfield", required=True, help="the built program")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="also torch.compile (needs a C++ compiler)")
    args = parser.parse_args()
    keep = {"MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TOP_PAD_": "268435456"}
    if any(name not in os.environ for name in keep):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **keep})
    torch.set_num_threads(args.threads)
    print(f"PyTorch {torch.__version__}, {args.threads} threads, medians of {args.rounds} rounds in turn, ms")
    print(f"{'':5} {'':16} {'train':>9} {'forward':>9} {'train / farfield':>17} {'forward / farfield':>19}")
    for name in args.names or WORKLOADS:
        kinds = {"farfield": lambda: farfield_row(args.farfield, name, args.threads), "PyTorch": lambda: torch_row(name, False)}
        if args.compile:
            kinds["PyTorch compiled"] = lambda: torch_row(name, True)
        rows = {kind: [] for kind in kinds}
        for _ in range(args.rounds):
            for kind, measure in kinds.items():
                rows[kind].append(measure())
        of = lambda kind, key: statistics.median(row[key] for row in rows[kind])
        for kind in kinds:
            train, forward = of(kind, "train_ms"), of(kind, "forward_ms")
            print(
                f"{name:5} {kind:16} {train:9.3f} {forward:9.3f}"
                f" {train / of('farfield', 'train_ms'):17.1f} {forward / of('farfield', 'forward_ms'):19.1f}"
            )


if __name__ == "__main__":
    main()
