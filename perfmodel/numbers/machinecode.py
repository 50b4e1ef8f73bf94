"""The innermost loop of `perfmodel.numbers.arrays` compiled for this processor, by llvmlite where that is installed.

numpy goes through memory for every operation; a compiled loop keeps a point in registers through all of them,
eight points at a time, and is ten times as fast on large grids. The operations are the same, in the same order
and with the same rounding, so that the numbers are the same too, but for logarithms and powers, which agree to 1e-14.
Without llvmlite everything works, more slowly.
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
    return engine, ctypes.CFUNCTYPE(None, pointers, pointers, ctypes.c_int64, ctypes.c_int64)(
        engine.get_function_address("kernel")
    )


class InnerLoop:
    """The operations on whole pieces as machine code; `run` does what `perfmodel.numbers.arrays._Pieces.run` does."""

    def __init__(self, kernel: Any, varies: Sequence[tuple[bool, bool]]) -> None:
        """Compile `kernel`. varies: whether each input varies along outer and inner axes."""
        self._results, self._varies = kernel.results, varies
        self._engine, self._call = _machine_code(_Text(kernel, varies).module())

    def run(self, inputs: Sequence[Array], outs: Mapping[str, Array], size: tuple[int, int]) -> None:
        """Work the kernel out on arrays of outer x inner, into `outs`."""
        full = [
            numpy.ascontiguousarray(
                numpy.broadcast_to(array, [length if along else 1 for length, along in zip(size, varies, strict=True)]),
                dtype=float,
            )
            for array, varies in zip(inputs, self._varies, strict=True)
        ]
        wanted = [outs[name] for name in self._results]
        for array in wanted:
            if not array.flags.c_contiguous or array.dtype != float:
                raise ValueError("results need contiguous arrays of floats")
        outer, inner = size
        results = wanted
        if inner < _LANES:  # points are worked out so many at a time
            more = _LANES - inner
            full = [
                numpy.pad(array, ((0, 0), (0, more)), "edge") if varies[1] else array
                for array, varies in zip(full, self._varies, strict=True)
            ]
            results = [numpy.empty((outer, _LANES)) for _ in wanted]
        addresses = [
            (ctypes.c_void_p * max(1, len(arrays)))(*(array.ctypes.data for array in arrays))
            for arrays in (full, results)
        ]
        self._call(addresses[0], addresses[1], outer, max(inner, _LANES))
        if inner < _LANES:
            for array, padded in zip(wanted, results, strict=True):
                array[...] = padded[:, :inner]


class _Text:
    """The text of a loop over points in LLVM's language."""

    def __init__(self, kernel: Any, varies: Sequence[tuple[bool, bool]]) -> None:
        self._kernel, self._varies = kernel, varies
        self._lines: list[str] = []
        self._names = 0

    def _do(self, text: str) -> str:
        """Add an operation; return the name of its result."""
        self._names += 1
        self._lines.append(f"  %t{self._names} = {text}")
        return f"%t{self._names}"

    def _label(self, name: str) -> None:
        self._lines.append(f"{name}:")

    def _jump(self, text: str) -> None:
        self._lines.append(f"  br {text}")

    def module(self) -> str:
        """Return the module: for each outer index eight inner ones at a time, of which there are eight or more.

        The last eight may begin among those before, which then are worked out again to the same numbers.
        """
        functions = "".join(self._function(name) for name in ("log", "exp"))
        addresses = [
            self._do(f"load ptr, ptr {self._do(f'getelementptr ptr, ptr %{group}, i64 {i}')}")
            for group, count in (("inputs", len(self._varies)), ("outs", len(self._kernel.results)))
            for i in range(count)
        ]
        inputs, outs = addresses[: len(self._varies)], addresses[len(self._varies) :]
        last = self._do(f"sub i64 %inner, {_LANES}")
        self._jump("label %outer_test")
        self._label("outer_test")
        self._lines.append("  %o = phi i64 [0, %entry], [%o_next, %outer_end]")
        self._jump(f"i1 {self._do('icmp slt i64 %o, %outer')}, label %inner_test, label %done")
        self._label("inner_test")
        self._lines.append("  %i = phi i64 [0, %outer_test], [%i_next, %inner_loop]")
        self._jump(f"i1 {self._do('icmp slt i64 %i, %inner')}, label %inner_loop, label %outer_end")
        self._label("inner_loop")
        self._lines.append(f"  %at = call i64 @llvm.smin.i64(i64 %i, i64 {last})")
        self._points("%at", inputs, outs)
        self._lines.append(f"  %i_next = add i64 %i, {_LANES}")
        self._jump("label %inner_test")
        self._label("outer_end")
        self._lines.append("  %o_next = add i64 %o, 1")
        self._jump("label %outer_test")
        body = "\n".join(self._lines)
        return (
            f"{functions}define void @kernel(ptr noalias %inputs, ptr noalias %outs, i64 %outer, i64 %inner) #0"
            f' {{\nentry:\n{body}\ndone:\n  ret void\n}}\nattributes #0 = {{ nounwind "min-legal-vector-width"="512"'
            ' "prefer-vector-width"="512" }\n'
        )

    def _points(self, i: str, inputs: Sequence[str], outs: Sequence[str]) -> None:
        """All operations on some points."""
        kind = _kind("double")
        place = self._do(f"add i64 {self._do('mul i64 %o, %inner')}, {i}")
        values: dict[str, str] = {}
        places = dict(zip(self._kernel.inputs, zip(self._varies, inputs, strict=True), strict=True))
        for line in self._kernel.lines:
            # An input is loaded where it is needed first, so that few are held at a time.
            for key in (line.left, line.right):
                if isinstance(key, str) and key not in values:
                    varies, address = places[key]
                    values[key] = self._load(kind, varies, address, i)
            values[line.target] = self._operation(line, kind, values)
        for key, address in zip(self._kernel.results, outs, strict=True):
            at = self._do(f"getelementptr double, ptr {address}, i64 {place}")
            self._lines.append(f"  store {kind} {values[key]}, ptr {at}, align 8")

    def _load(self, kind: str, varies: tuple[bool, bool], address: str, i: str) -> str:
        """An input at some points: element o x inner + i, without the axes that it lacks."""
        index = "0"
        for along, length, at in ((varies[0], "%outer", "%o"), (varies[1], "%inner", i)):
            if along:
                index = self._do(f"add i64 {self._do(f'mul i64 {index}, {length}')}, {at}")
        at = self._do(f"getelementptr double, ptr {address}, i64 {index}")
        if varies[1]:
            return self._do(f"load {kind}, ptr {at}, align 8")
        value = self._do(f"load double, ptr {at}, align 8")
        first = self._do(f"insertelement {kind} poison, double {value}, i64 0")
        return self._do(f"shufflevector {kind} {first}, {kind} poison, <{_LANES} x i32> zeroinitializer")

    def _operation(self, line: Line, kind: str, values: Mapping[str, str]) -> str:
        left, right = (values[x] if isinstance(x, str) else _number(x) for x in (line.left, line.right))
        operation = line.operation
        if operation in _ARITHMETIC:
            return self._do(f"{_ARITHMETIC[operation]} {kind} {left}, {right}")
        if operation in ("log", "exp"):
            return self._do(f"call {kind} @{operation}{_LANES}({kind} {left})")
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
        logarithm = self._do(f"call {kind} @log{_LANES}({kind} {left})")
        product = self._do(f"fmul {kind} {logarithm}, {right}")
        return self._do(f"call {kind} @exp{_LANES}({kind} {product})")

    def _function(self, name: str) -> str:
        """The text of a logarithm or exponential of some normal positive, or not too large, numbers at once."""
        kind = _kind("double")
        result = self._logarithm(kind) if name == "log" else self._exponential(kind)
        body, self._lines = "\n".join(self._lines), []
        return f"define internal {kind} @{name}{_LANES}({kind} %x) #0 {{\n{body}\n  ret {kind} {result}\n}}\n"

    def _logarithm(self, kind: str) -> str:
        """With x = 2**e m, m from sqrt(1/2) to sqrt(2): e log(2) + 2 artanh((m - 1) / (m + 1))."""
        whole, truth = _kind("i64"), _kind("i1")
        bits = self._do(f"bitcast {kind} %x to {whole}")
        exponent = self._do(f"lshr {whole} {bits}, {_whole(52)}")
        fraction = self._do(f"and {whole} {bits}, {_whole((1 << 52) - 1)}")
        half = self._do(f"bitcast {whole} {self._do(f'or {whole} {fraction}, {_whole(1022 << 52)}')} to {kind}")
        small = self._do(f"fcmp olt {kind} {half}, {_number(math.sqrt(0.5))}")
        m = self._do(f"select {truth} {small}, {kind} {self._do(f'fadd {kind} {half}, {half}')}, {kind} {half}")
        bias = self._do(f"select {truth} {small}, {whole} {_whole(1023)}, {whole} {_whole(1022)}")
        e = self._do(f"sitofp {whole} {self._do(f'sub {whole} {exponent}, {bias}')} to {kind}")
        over, under = (self._do(f"fadd {kind} {m}, {_number(number)}") for number in (-1.0, 1.0))
        t = self._do(f"fdiv {kind} {over}, {under}")
        square = self._do(f"fmul {kind} {t}, {t}")
        series = self._series(square, [2 / (2 * i + 1) for i in range(11)], kind)
        product = self._do(f"fmul {kind} {e}, {_number(math.log(2))}")
        return self._do(f"fadd {kind} {product}, {self._do(f'fmul {kind} {t}, {series}')}")

    def _exponential(self, kind: str) -> str:
        """With x = k log(2) + r, r at most log(2) / 2: 2**k times the series of exp(r)."""
        whole = _kind("i64")
        turns = self._do(f"fmul {kind} %x, {_number(1 / math.log(2))}")
        k = self._do(f"call {kind} @llvm.rint.{_SUFFIX}({kind} {turns})")
        back = self._do(f"fmul {kind} {k}, {_number(math.log(2))}")
        rest = self._do(f"fsub {kind} %x, {back}")
        series = self._series(rest, [1 / math.factorial(i) for i in range(14)], kind)
        steps = self._do(f"add {whole} {self._do(f'fptosi {kind} {k} to {whole}')}, {_whole(1023)}")
        scale = self._do(f"bitcast {whole} {self._do(f'shl {whole} {steps}, {_whole(52)}')} to {kind}")
        return self._do(f"fmul {kind} {series}, {scale}")

    def _series(self, x: str, coefficients: Sequence[float], kind: str) -> str:
        """The sum of coefficients times powers of x."""
        total = _number(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            operands = f"{kind} {total}, {kind} {x}, {kind} {_number(coefficient)}"
            total = self._do(f"call {kind} @llvm.fmuladd.{_SUFFIX}({operands})")
        return total


def _kind(kind: str) -> str:
    return f"<{_LANES} x {kind}>"


def _whole(number: int) -> str:
    return f"<{', '.join([f'i64 {number}'] * _LANES)}>"


def _number(value: float) -> str:
    number = f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016X}"
    return f"<{', '.join([f'double {number}'] * _LANES)}>"
