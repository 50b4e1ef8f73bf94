"""The innermost loop of `perfmodel.numbers.arrays` compiled for this processor, by llvmlite where that is installed.

numpy goes through memory for every operation; a compiled loop keeps a point in registers through all of them,
eight points at a time, and is ten times as fast on large grids. The operations are the same, in the same order
and with the same rounding, so that the numbers are the same too, but for logarithms and powers, which agree to 1e-14.
What need not be had to the last bit, the ends of intervals, has products fused with the sums that take them, and agrees
to 1e-12. Without llvmlite everything works, more slowly.
"""

import ctypes
import math
import struct
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

import numpy

from perfmodel.numbers.recorded import Line

Array = Any
_LANES = 8
# How far from one most quotients are whose logarithm is asked, and the terms of a series that is exact there.
_REACH, _TERMS = 0.1, 11
_SUFFIX = f"v{_LANES}f64"
_ARITHMETIC = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv"}


@cache
def _llvm() -> Any:
    """Return LLVM and a machine to compile for, None where llvmlite is not there or too old."""
    try:
        binding = import_module("llvmlite.binding")
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        binding.parse_assembly("define ptr @same(ptr %x) { ret ptr %x }")  # releases before 0.44 know no such pointers
    except (ImportError, AttributeError, RuntimeError, OSError):
        return None
    target = binding.Target.from_default_triple()
    features = binding.get_host_cpu_features().flatten()
    return binding, lambda: target.create_target_machine(cpu=binding.get_host_cpu_name(), features=features, opt=2)


def available() -> bool:
    """Return whether kernels can be compiled here."""
    return _llvm() is not None


@lru_cache(maxsize=256)
def _machine_code(text: str) -> tuple[Any, Any]:
    """Return what keeps the machine code of a module alive, and its function."""
    binding, machine = _llvm()
    module = binding.parse_assembly(text)
    module.verify()
    engine = binding.create_mcjit_compiler(module, machine())
    engine.finalize_object()
    pointers = ctypes.POINTER(ctypes.c_void_p)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, pointers, pointers, ctypes.c_int64, ctypes.c_int64)
    return engine, kind(engine.get_function_address("kernel"))


class InnerLoop:
    """The operations on whole pieces as machine code; `run` does what `perfmodel.numbers.arrays._Pieces.run` does."""

    def __init__(self, kernel: Any, varies: Sequence[tuple[bool, bool]]) -> None:
        """Compile `kernel`. varies: whether each input varies along outer and inner axes."""
        self._results, self._varies = kernel.results, varies
        self._engine, self._call = _machine_code(_Text(kernel, varies).module())

    def run(self, inputs: Sequence[Array], outs: Mapping[str, Array], size: tuple[int, int]) -> None:
        """Work the kernel out on arrays of outer x inner, into `outs`."""
        outer, inner = size
        # What is the same along the inner axes stands side by side, a row for each outer index.
        rows = numpy.empty((outer, len(inputs) - sum(along for _, along in self._varies)))
        full: list[Array] = []
        place = 0
        for array, (outwards, inwards) in zip(inputs, self._varies, strict=True):
            if inwards:
                whole = numpy.broadcast_to(array, (outer if outwards else 1, inner))
                if inner < _LANES:  # points are worked out so many at a time
                    whole = numpy.pad(whole, ((0, 0), (0, _LANES - inner)), "edge")
                full.append(numpy.ascontiguousarray(whole, dtype=float))
            else:
                rows[:, place] = array[:, 0]
                place += 1
        wanted = [outs[name] for name in self._results]
        for array in wanted:
            if not array.flags.c_contiguous or array.dtype != float:
                raise ValueError("results need contiguous arrays of floats")
        results = wanted if inner >= _LANES else [numpy.empty((outer, _LANES)) for _ in wanted]
        self._call(rows.ctypes.data, _addresses(full), _addresses(results), outer, max(inner, _LANES))
        if inner < _LANES:
            for array, padded in zip(wanted, results, strict=True):
                array[...] = padded[:, :inner]


def _addresses(arrays: Sequence[Array]) -> Any:
    """Where the numbers of arrays begin, for C."""
    return (ctypes.c_void_p * max(1, len(arrays)))(*(array.ctypes.data for array in arrays))


class _Text:
    """The text of a loop over points in LLVM's language."""

    def __init__(self, kernel: Any, varies: Sequence[tuple[bool, bool]]) -> None:
        self._kernel, self._varies = kernel, varies
        self._lines: list[str] = []
        self._names, self._block = 0, "entry"

    def _do(self, text: str) -> str:
        """Add an operation; return the name of its result."""
        self._names += 1
        self._lines.append(f"  %t{self._names} = {text}")
        return f"%t{self._names}"

    def _label(self, name: str) -> None:
        self._block = name
        self._lines.append(f"{name}:")

    def _jump(self, text: str) -> None:
        self._lines.append(f"  br {text}")

    def module(self) -> str:
        """Return the module: for each outer index eight inner ones at a time, of which there are eight or more.

        The last eight may begin among those before, which then are worked out again to the same numbers.
        """
        inner = [i for i, (_, along) in enumerate(self._varies) if along]
        addresses = [
            self._do(f"load ptr, ptr {self._do(f'getelementptr ptr, ptr %{group}, i64 {i}')}")
            for group, count in (("inputs", len(inner)), ("outs", len(self._kernel.results)))
            for i in range(count)
        ]
        inputs, outs = dict(zip(inner, addresses, strict=False)), addresses[len(inner) :]
        wide = len(self._varies) - len(inner)
        last = self._do(f"sub i64 %inner, {_LANES}")
        self._jump("label %outer_test")
        self._label("outer_test")
        self._lines.append("  %o = phi i64 [0, %entry], [%o_next, %outer_end]")
        self._jump(f"i1 {self._do('icmp slt i64 %o, %outer')}, label %outer_begin, label %done")
        self._label("outer_begin")
        self._lines.append(f"  %row = getelementptr double, ptr %rows, i64 {self._do(f'mul i64 %o, {wide}')}")
        self._lines.append("  %begin = mul i64 %o, %inner")
        self._jump("label %inner_test")
        self._label("inner_test")
        self._lines.append("  %i = phi i64 [0, %outer_begin], [%i_next, %inner_end]")
        self._jump(f"i1 {self._do('icmp slt i64 %i, %inner')}, label %inner_loop, label %outer_end")
        self._label("inner_loop")
        self._lines.append(f"  %at = call i64 @llvm.smin.i64(i64 %i, i64 {last})")
        self._points("%at", inputs, outs)
        self._jump("label %inner_end")
        self._label("inner_end")
        self._lines.append(f"  %i_next = add i64 %i, {_LANES}")
        self._jump("label %inner_test")
        self._label("outer_end")
        self._lines.append("  %o_next = add i64 %o, 1")
        self._jump("label %outer_test")
        body = "\n".join(self._lines)
        return (
            "define void @kernel(ptr noalias %rows, ptr noalias %inputs, ptr noalias %outs, i64 %outer, i64 %inner) #0"
            f' {{\nentry:\n{body}\ndone:\n  ret void\n}}\nattributes #0 = {{ nounwind "min-legal-vector-width"="512"'
            ' "prefer-vector-width"="512" }\n'
            '!0 = !{!"branch_weights", i32 1, i32 1000}\n'
        )

    def _points(self, i: str, inputs: Mapping[int, str], outs: Sequence[str]) -> None:
        """All operations on some points."""
        kind = _kind("double")
        place = self._do(f"add i64 %begin, {i}")
        values: dict[str, str] = {}
        numbers = {name: number for number, name in enumerate(self._kernel.inputs)}
        same = [number for number in numbers.values() if number not in inputs]
        for line in self._kernel.lines:
            # An input is loaded where it is needed first, so that few are held at a time.
            for key in (line.left, line.right):
                if isinstance(key, str) and key not in values:
                    number = numbers[key]
                    if number in inputs:
                        index = place if self._varies[number][0] else i
                        at = self._do(f"getelementptr double, ptr {inputs[number]}, i64 {index}")
                        values[key] = self._do(f"load {kind}, ptr {at}, align 8")
                    else:
                        values[key] = self._same(kind, same.index(number))
            values[line.target] = self._operation(line, kind, values)
        for key, address in zip(self._kernel.results, outs, strict=True):
            at = self._do(f"getelementptr double, ptr {address}, i64 {place}")
            self._lines.append(f"  store {kind} {values[key]}, ptr {at}, align 8")

    def _same(self, kind: str, place: int) -> str:
        """An input that is the same along the inner axes, at some points."""
        at = self._do(f"getelementptr double, ptr %row, i64 {place}")
        value = self._do(f"load double, ptr {at}, align 8")
        first = self._do(f"insertelement {kind} poison, double {value}, i64 0")
        return self._do(f"shufflevector {kind} {first}, {kind} poison, <{_LANES} x i32> zeroinitializer")

    def _operation(self, line: Line, kind: str, values: Mapping[str, str]) -> str:
        left, right = (values[x] if isinstance(x, str) else _number(x) for x in (line.left, line.right))
        operation = line.operation
        if operation in _ARITHMETIC:
            # What need not be had to the last bit may be fused: a product with the sum that takes it.
            fused = " contract" if line.target in self._kernel.loose else ""
            return self._do(f"{_ARITHMETIC[operation]}{fused} {kind} {left}, {right}")
        if operation == "log":
            return self._logarithm(left, kind)
        if operation == "exp":
            return self._exponential(left, kind)
        if operation == "**":
            return self._power(line.right, left, right, kind)
        truth = _kind("i1")
        less = self._do(f"fcmp {'olt' if operation == 'minimum' else 'ogt'} {kind} {left}, {right}")
        if operation == "greater":
            left, right = _number(1.0), _number(0.0)
        return self._do(f"select {truth} {less}, {kind} {left}, {kind} {right}")

    def _power(self, exponent: Any, left: str, right: str, kind: str) -> str:
        if exponent == 0.5:
            return self._do(f"call {kind} @llvm.sqrt.{_SUFFIX}({kind} {left})")
        product = self._do(f"fmul {kind} {self._far_logarithm(left, kind)}, {right}")
        return self._exponential(product, kind)

    def _logarithm(self, x: str, kind: str) -> str:
        """The logarithm of normal positive numbers, most near one; each as it would be alone, whatever is beside it."""
        t = self._do(f"fadd {kind} {x}, {_number(-1.0)}")
        near = self._do(f"fmul {kind} {t}, {self._series(t, _logarithm_series(1 - _REACH, 1 + _REACH, _TERMS), kind)}")
        truth, before, label = _kind("i1"), self._block, f"far{self._names}"
        far = self._do(f"fcmp ugt {kind} {self._do(f'fmul {kind} {t}, {t}')}, {_number(_REACH**2)}")
        any_far = self._do(f"icmp ne i{_LANES} {self._do(f'bitcast {truth} {far} to i{_LANES}')}, 0")
        self._jump(f"i1 {any_far}, label %{label}, label %after_{label}, !prof !0")
        self._label(label)
        chosen = self._do(f"select {truth} {far}, {kind} {self._far_logarithm(x, kind)}, {kind} {near}")
        self._jump(f"label %after_{label}")
        self._label(f"after_{label}")
        return self._do(f"phi {kind} [{near}, %{before}], [{chosen}, %{label}]")

    def _far_logarithm(self, x: str, kind: str) -> str:
        """The logarithm of any normal positive numbers, x = 2**e m, m near one: e log(2) + log(m)."""
        e, m = self._parts(x, kind)
        t = self._do(f"fadd {kind} {m}, {_number(-1.0)}")
        whole = self._do(f"fmul {kind} {e}, {_number(math.log(2))}")
        return self._fused(t, self._series(t, _logarithm_series(math.sqrt(0.5), math.sqrt(2.0), 20), kind), whole, kind)

    def _parts(self, x: str, kind: str) -> tuple[str, str]:
        """Exponent and mantissa, from sqrt(1/2) to sqrt(2), of some normal positive numbers at once."""
        whole, truth = _kind("i64"), _kind("i1")
        bits = self._do(f"bitcast {kind} {x} to {whole}")
        exponent = self._do(f"lshr {whole} {bits}, {_whole(52)}")
        fraction = self._do(f"and {whole} {bits}, {_whole((1 << 52) - 1)}")
        half = self._do(f"bitcast {whole} {self._do(f'or {whole} {fraction}, {_whole(1022 << 52)}')} to {kind}")
        small = self._do(f"fcmp olt {kind} {half}, {_number(math.sqrt(0.5))}")
        m = self._do(f"select {truth} {small}, {kind} {self._do(f'fadd {kind} {half}, {half}')}, {kind} {half}")
        bias = self._do(f"select {truth} {small}, {whole} {_whole(1023)}, {whole} {_whole(1022)}")
        return self._do(f"sitofp {whole} {self._do(f'sub {whole} {exponent}, {bias}')} to {kind}"), m

    def _exponential(self, x: str, kind: str) -> str:
        """The exponential of not too large numbers, x = k log(2) + r, r at most log(2) / 2: 2**k times a series."""
        whole = _kind("i64")
        turns = self._do(f"fmul {kind} {x}, {_number(1 / math.log(2))}")
        k = self._do(f"call {kind} @llvm.rint.{_SUFFIX}({kind} {turns})")
        back = self._do(f"fmul {kind} {k}, {_number(math.log(2))}")
        rest = self._do(f"fsub {kind} {x}, {back}")
        series = self._series(rest, [1 / math.factorial(i) for i in range(14)], kind)
        steps = self._do(f"add {whole} {self._do(f'fptosi {kind} {k} to {whole}')}, {_whole(1023)}")
        scale = self._do(f"bitcast {whole} {self._do(f'shl {whole} {steps}, {_whole(52)}')} to {kind}")
        return self._do(f"fmul {kind} {series}, {scale}")

    def _series(self, x: str, coefficients: Sequence[float], kind: str) -> str:
        """The sum of coefficients times powers of x."""
        total = _number(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total = self._fused(total, x, _number(coefficient), kind)
        return total

    def _fused(self, one: str, other: str, more: str, kind: str) -> str:
        """The product of two numbers plus a third."""
        return self._do(f"call {kind} @llvm.fmuladd.{_SUFFIX}({kind} {one}, {kind} {other}, {kind} {more})")


@cache
def _logarithm_series(low: float, high: float, terms: int) -> list[float]:
    """Return coefficients of the powers of t in log(1 + t) / t, for 1 + t from `low` to `high`."""
    fitted = numpy.polynomial.Chebyshev.interpolate(
        lambda t: numpy.where(abs(t) < 1e-12, 1.0, numpy.log1p(t) / numpy.where(t == 0, 1.0, t)),
        terms - 1,
        (low - 1.0, high - 1.0),
    )
    return list(map(float, fitted.convert(kind=numpy.polynomial.Polynomial).coef))


def _kind(kind: str) -> str:
    return f"<{_LANES} x {kind}>"


def _whole(number: int) -> str:
    return f"<{', '.join([f'i64 {number}'] * _LANES)}>"


def _number(value: float) -> str:
    number = f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016X}"
    return f"<{', '.join([f'double {number}'] * _LANES)}>"
