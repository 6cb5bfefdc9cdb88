"""Reliable timings on a shared machine: ratios of two programs that take turns in one process.

A run of each makes a pair. Medians and ranges are of the runs; ratios and their confidence bounds are of the
pairs. Kernels are compared with the processor's peak, measured between their runs.

    sunhwan bench
    sunhwan bench kernels growth --json
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sunhwan import native
from sunhwan.errors import SunhwanError
from sunhwan.recurrence import cases
from sunhwan.recurrence.cases import Case, Layer
from sunhwan.recurrence.cells import CELLS
from sunhwan.recurrence.ops import numpy as kernels
from sunhwan.recurrence.ops.options import Options

SAMPLE_SECONDS = 0.5
"""How long a sample lasts in the faster mode, with as many steps as needed (4 to 100), so that the fixed cost
of `fit` or `predict`, 30 ms on TensorFlow, does not count."""


@dataclass(frozen=True)
class Times:
    """Seconds over the samples."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, samples: Iterable[float]) -> Times:
        samples = list(samples)
        return cls(float(np.median(samples)), min(samples), max(samples))


@dataclass(frozen=True)
class Comparison:
    """Stock Keras against the same model accelerated: a line of the report.

    Attributes:
        what: "fit step" or "predict batch".
        ratio, ratio_low: how many times faster, as the median over the pairs; and the lower bound of its 95%
            confidence interval (order statistics of the pairs).
        fused: whether all layers ran fused.
        reasons: why not.
        torch: PyTorch's own layers in a hand-written training loop, if it is installed and has the options.
    """

    case: str
    what: str
    stock: Times
    accelerated: Times
    ratio: float
    ratio_low: float
    fused: bool
    reasons: tuple[str, ...]
    torch: Times | None = None


@dataclass(frozen=True)
class KernelTimes:
    """One recurrence on the kernels alone, from NumPy arrays to gradients.

    Attributes:
        masks: whether it has dropout masks for each gate, of the inputs and of the recurrent product.
        gflops: the rate of forward + backward; `share` of `peak_gflops`, measured between the runs.
    """

    case: str
    masks: bool
    threads: int
    isa: str
    forward: Times
    forward_backward: Times
    gflops: float
    peak_gflops: float
    share: float
    workspace_mb: float


def lower_bound(samples: Iterable[float], confidence: float = 0.95) -> float:
    """The lower end of a median's two-sided confidence interval, as an order statistic, without assumptions.

    With n samples, the k-th smallest is below the median with the probability that a fair coin shows heads at
    least k times out of n.

    Raises:
        ValueError: there are too few samples for a bound.

    Example:
        >>> lower_bound([5.0, 1.0, 4.0, 2.0, 3.0, 6.0])
        1.0
    """
    ordered = sorted(samples)
    count, below, rank = len(ordered), 0.0, -1
    binomial = [1.0]
    for n in range(count):
        binomial.append(binomial[-1] * (count - n) / (n + 1))
    for k in range(count):
        below += binomial[k] / 2.0**count
        if below > (1 - confidence) / 2:
            break
        rank = k
    if rank < 0:
        raise ValueError(
            f"{count} samples have no bound with {confidence:.0%} confidence; take more samples."
        )
    return ordered[rank]


# ---- Models: stock against accelerated ----


def compare(case: Case, *, pairs: int = 7, torch: bool = True) -> Iterator[Comparison]:
    """The training step and the prediction of a case's model, stock and accelerated in turn.

    Each mode has its own copy of the model, so that neither causes the other to compile again.
    """
    from sunhwan.recurrence.keras import accelerate
    from sunhwan.recurrence.keras.accelerate import accelerated
    from sunhwan.recurrence.keras.explain import explain

    if why := accelerate.forgets_programs():
        raise SunhwanError(f"{why}, so only compilation could be timed; install a newer JAX")
    stock, fast = case.model(), case.model()
    modes = {"stock": (stock, nullcontext), "accelerated": (fast, accelerated)}
    runs = {
        "fit step": lambda model, x, y: model.fit(
            x, y, batch_size=case.batch, epochs=1, shuffle=False, verbose=0
        ),
        "predict batch": lambda model, x, y: model.predict(x, batch_size=case.batch, verbose=0),
    }
    rng = np.random.default_rng(0)
    for what, run in runs.items():
        batches = 2
        x, y = case.inputs(rng, batches)
        for model, mode in modes.values():
            with mode():
                run(model, x, y)  # compiles
        # Enough batches to fill a sample in the faster mode.
        with accelerated():
            once = _seconds(run, fast, x, y)
        batches = int(np.clip(np.ceil(SAMPLE_SECONDS / once * batches), 4, 100))
        x, y = case.inputs(rng, batches)
        samples: dict[str, list[float]] = {name: [] for name in modes}
        for pair in range(pairs + 1):
            for name, (model, mode) in modes.items():
                with mode():
                    seconds = _seconds(run, model, x, y) / batches
                if pair:  # the first compiles for the number of batches
                    samples[name].append(seconds)
        ratios = [a / b for a, b in zip(samples["stock"], samples["accelerated"], strict=True)]
        with accelerated():
            rows = explain(fast).rows
        yield Comparison(
            case.name,
            what,
            Times.of(samples["stock"]),
            Times.of(samples["accelerated"]),
            float(np.median(ratios)),
            lower_bound(ratios),
            fused=all(row.path == "fused" for row in rows),
            reasons=tuple(sorted({row.reason for row in rows if row.reason})),
            torch=_torch_step(case, pairs) if torch and what == "fit step" else None,
        )


def _seconds(run: Callable, *arguments: Any) -> float:
    begin = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - begin


def _torch_step(case: Case, repeats: int) -> Times | None:
    """A training step of the case, hand-written for PyTorch; None if its layers lack an option."""
    try:
        import torch
    except ImportError:
        return None
    kinds = {"simple_rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
    if any(layer.dropout or layer.recurrent_dropout or layer.activation != "tanh" for layer in case.layers):
        return None
    modules, features = [], case.features
    if case.vocabulary:
        modules.append(torch.nn.Embedding(case.vocabulary, case.features))
    for layer in case.layers:
        modules.append(
            kinds[layer.cell](features, layer.units, batch_first=True, bidirectional=layer.bidirectional)
        )
        features = layer.units * (2 if layer.bidirectional else 1)
    head = torch.nn.Linear(features, 1)
    parameters = [parameter for module in (*modules, head) for parameter in module.parameters()]
    optimizer = torch.optim.Adam(parameters)
    loss = torch.nn.BCEWithLogitsLoss() if case.classifies else torch.nn.MSELoss()
    x, y = (torch.from_numpy(array) for array in case.inputs(np.random.default_rng(0), 1))

    def step():
        optimizer.zero_grad()
        hidden = x
        for module in modules:
            hidden = module(hidden)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        loss(head(hidden[:, -1]), y).backward()
        optimizer.step()

    step()
    return Times.of(_seconds(step) for _ in range(repeats))


# ---- Kernels ----


def time_kernel(
    case: Case, *, masks: bool = False, threads: int | None = None, repeats: int = 15
) -> KernelTimes:
    """Forward and backward of a case's first layer, including the gradient of the inputs."""
    layer, rng = case.layers[0], np.random.default_rng(0)
    gates, units = len(CELLS[layer.cell].gates), layer.units
    weights = [
        rng.standard_normal(shape, dtype=np.float32) * np.float32(0.1)
        for shape in CELLS[layer.cell].weight_shapes(case.features, units)
    ]
    inputs = rng.standard_normal((case.batch, case.timesteps, case.features), dtype=np.float32)
    dropout_masks: dict[str, np.ndarray] = {}
    if masks:
        for name, columns in (("dropout_mask", case.features), ("recurrent_dropout_mask", units)):
            dropout_masks[name] = np.float32(rng.random((gates, case.batch, columns)) < 0.8) / np.float32(0.8)
    options = Options(layer.cell, activation=layer.activation)
    d_output = rng.standard_normal((case.batch, units), dtype=np.float32) * np.float32(0.1)
    forward, both, peaks = [], [], []
    with using_threads(threads) as threads:
        for repeat in range(repeats + 2):
            begin = time.perf_counter()
            passed = kernels.forward(options, inputs, *weights, **dropout_masks)
            middle = time.perf_counter()
            kernels.backward(passed, d_output)
            end = time.perf_counter()
            del passed
            if repeat < 2:
                continue
            forward.append(middle - begin)
            both.append(end - begin)
            peaks.append(native.peak_gflops(threads, 0.005))
    gflops = case.flops() / float(np.median(both)) / 1e9
    peak = float(np.median(peaks))
    return KernelTimes(
        case.name,
        masks,
        threads,
        native.isa(),
        Times.of(forward),
        Times.of(both),
        gflops,
        peak,
        gflops / peak,
        native.memory_kept() / 1e6,
    )


# ---- Memory ----


@dataclass(frozen=True)
class Memory:
    """By how many bytes training a model raises the peak memory of a process."""

    case: str
    stock: int
    accelerated: int


def compare_memory(case: Case) -> Memory:
    """The peak memory of a few training steps, stock and accelerated, each in its own process.

    Raises:
        RuntimeError: a process failed; the message has its stderr.
    """
    peaks = {}
    for mode in ("stock", "accelerated"):
        program = (
            "from sunhwan.recurrence.bench import print_peak\n"
            "from sunhwan.recurrence.cases import Case, Layer\n"
            f"print_peak({case!r}, {mode!r})"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"training {case.name} ({mode}) failed: {done.stderr}")
        peaks[mode] = int(done.stdout.split()[-1])
    return Memory(case.name, **peaks)


def print_peak(case: Case, mode: str) -> None:
    """Train a case's model for a few steps, and print by how many bytes that raised the process's peak."""
    from sunhwan.recurrence.keras.accelerate import accelerated

    model = case.model()
    x, y = case.inputs(np.random.default_rng(0), 4)
    before = _peak()
    with accelerated() if mode == "accelerated" else nullcontext():
        model.fit(x, y, batch_size=case.batch, epochs=2, shuffle=False, verbose=0)
    print(_peak() - before)


def _peak():
    """The peak memory of this process in bytes."""
    if (status := Path("/proc/self/status")).exists():
        # On Linux, `resource` includes the peak of the parent process.
        return int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text())[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def using_threads(threads: int | None) -> Iterator[int]:
    """Set the number of threads per call within a `with` block; None leaves it unchanged."""
    before = native.num_threads()
    if threads:
        native.set_num_threads(threads)
    try:
        yield threads or before
    finally:
        native.set_num_threads(before)


@contextmanager
def using_isa(name: str) -> Iterator[None]:
    """Use an instruction set within a `with` block."""
    before = native.isa()
    native.set_isa(name)
    try:
        yield
    finally:
        native.set_isa(before)


def grown(threads: int) -> dict[str, list[Case]]:
    """For each size, cases in which only it grows, from a GRU(32) on 32 sequences of 120 steps."""

    def gru(batch=32, timesteps=120, units=32):
        return Case(f"gru_h{units}_b{batch}_t{timesteps}", batch, timesteps, 14, (Layer("gru", units),))

    return {
        "timesteps": [gru(timesteps=n) for n in (1, 10, 30, 120, 500, 2000)],
        "batch": [gru(batch=n) for n in (1, 4, 16, 32, 128, 512)],
        "units": [gru(units=n) for n in (1, 8, 16, 32, 64, 128, 256)],
    }


# ---- The whole report ----

SECTIONS = {
    "workloads": "the tutorial's models and the most common notebook: fit step and predict",
    "random": "twenty shapes drawn from the seed",
    "kernels": "forward + backward of the kernels alone, as a share of the processor's peak",
    "growth": "how the kernels' time grows with timesteps, batch, units and threads",
    "memory": "peak memory of training, at 500 and at 2,000 timesteps",
    "breadth": "sixty fixed shapes from small to large (slow)",
}
DEFAULT = ("workloads", "random", "kernels", "growth")


def report(
    sections: Iterable[str],
    *,
    pairs: int = 7,
    seed: int = 0,
    say: Callable[[str, Any], None] = lambda *_: None,
) -> dict[str, Any]:
    """All measurements, as plain data for JSON. `say` is called with each result as it arrives."""
    import os
    import platform

    import keras

    result: dict[str, Any] = {
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "isa": native.isa(),
        "threads": native.num_threads(),
        "pairs": pairs,
        "seed": seed,
    }

    def keep(section: str, item: Any) -> None:
        result.setdefault(section, []).append(asdict(item))
        say(section, item)

    for section in sections:
        if section in ("workloads", "random", "breadth"):
            chosen = {"workloads": cases.WORKLOADS, "breadth": cases.GRID}.get(section) or cases.drawn(
                seed, 20
            )
            for case in chosen.values():
                for comparison in compare(case, pairs=pairs, torch=section == "workloads"):
                    keep(section, comparison)
                _forget_models()
        elif section == "kernels":
            for isa in [native.isa(), *(["avx2"] if native.isa() == "avx512" else [])]:
                with using_isa(isa):
                    for case in cases.KERNELS.values():
                        for threads in sorted({1, native.num_threads()}):
                            for masks in (False, True):
                                keep(section, time_kernel(case, masks=masks, threads=threads))
        elif section == "memory":
            for case in cases.MEMORY.values():
                keep(section, compare_memory(case))
        elif section == "growth":
            most = native.num_threads()
            for grows, growing in grown(most).items():
                for case in growing:
                    keep(f"growth_{grows}", time_kernel(case, repeats=7))
            for threads in range(1, most + 1):
                keep("growth_threads", time_kernel(cases.KERNELS["gru_32"], threads=threads))
    return result


def _forget_models() -> None:
    """Frees compiled programs: those of sixty models would fill the memory."""
    import gc

    import keras

    keras.backend.clear_session()
    gc.collect()
