"""Kernels of `perfmodel.numbers.arrays` compiled for this processor, by llvmlite where that is installed.

numpy goes through memory for every operation; a compiled kernel keeps a point in registers through all of them,
eight points at a time, and is ten times as fast on large grids. The operations are the same, in the same order
and with the same rounding, so that the numbers are the same too. Without llvmlite everything works, more slowly.
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
_TESTS = {"least": "olt", "largest": "ogt"}
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
    return engine, ctypes.CFUNCTYPE(None, pointers, pointers, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(
        engine.get_function_address("kernel")
    )


class Compiled:
    """A kernel as machine code; `run` does what `perfmodel.numbers.arrays.Pieces.run` does."""

    def __init__(self, kernel: Any, varies: Mapping[str, tuple[bool, bool, bool]]) -> None:
        """Compile `kernel`. varies: whether each input varies along corners, outer and inner axes."""
        self._outs = (*kernel.results, *(name for name in ("least", "largest") if getattr(kernel, name)))
        self._varies = [varies[name] for name in kernel.inputs]
        self._engine, self._call = _machine_code(_Text(kernel, self._varies, self._outs).module())

    def run(self, inputs: Sequence[Array], outs: Mapping[str, Array], rows: int, size: tuple[int, int]) -> None:
        """Work the kernel out on arrays of corners x outer x inner, into `outs` of outer x inner."""
        full = [
            numpy.ascontiguousarray(
                numpy.broadcast_to(
                    array, [length if along else 1 for length, along in zip((rows, *size), varies, strict=True)]
                ),
                dtype=float,
            )
            for array, varies in zip(inputs, self._varies, strict=True)
        ]
        results = [outs[name] for name in self._outs]
        for array in results:
            if not array.flags.c_contiguous or array.dtype != float:
                raise ValueError("results need contiguous arrays of floats")
        addresses = [
            (ctypes.c_void_p * max(1, len(arrays)))(*(array.ctypes.data for array in arrays))
            for arrays in (full, results)
        ]
        self._call(addresses[0], addresses[1], rows, *size)


class _Text:
    """The text of a kernel in LLVM's language."""

    def __init__(self, kernel: Any, varies: Sequence[tuple[bool, bool, bool]], outs: Sequence[str]) -> None:
        self._kernel, self._varies, self._outs = kernel, varies, outs
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
        """Return the module: for each outer index, eight inner ones at a time, then those left one by one."""
        addresses = [
            self._do(f"load ptr, ptr {self._do(f'getelementptr ptr, ptr %{group}, i64 {i}')}")
            for group, count in (("inputs", len(self._varies)), ("outs", len(self._outs)))
            for i in range(count)
        ]
        inputs, outs = addresses[: len(self._varies)], addresses[len(self._varies) :]
        whole = self._do(f"and i64 %inner, {-_LANES}")
        self._jump("label %outer_test")
        self._label("outer_test")
        self._lines.append("  %o = phi i64 [0, %entry], [%o_next, %outer_end]")
        self._jump(f"i1 {self._do('icmp slt i64 %o, %outer')}, label %wide_test, label %done")
        for name, lanes, begin, before, end, then in (
            ("wide", _LANES, "0", "outer_test", whole, "single_test"),
            ("single", 1, whole, "wide_test", "%inner", "outer_end"),
        ):
            self._label(f"{name}_test")
            self._lines.append(f"  %{name}_i = phi i64 [{begin}, %{before}], [%{name}_next, %{name}_end]")
            self._jump(f"i1 {self._do(f'icmp slt i64 %{name}_i, {end}')}, label %{name}, label %{then}")
            self._label(name)
            self._points(name, lanes, f"%{name}_i", inputs, outs)
            self._lines.append(f"  %{name}_next = add i64 %{name}_i, {lanes}")
            self._jump(f"label %{name}_test")
        self._label("outer_end")
        self._lines.append("  %o_next = add i64 %o, 1")
        self._jump("label %outer_test")
        body = "\n".join(self._lines)
        return (
            "define void @kernel(ptr noalias %inputs, ptr noalias %outs, i64 %rows, i64 %outer, i64 %inner) #0"
            f' {{\nentry:\n{body}\ndone:\n  ret void\n}}\nattributes #0 = {{ nounwind "min-legal-vector-width"="512"'
            ' "prefer-vector-width"="512" }\n'
        )

    def _points(self, name: str, lanes: int, i: str, inputs: Sequence[str], outs: Sequence[str]) -> None:
        """All operations on some points; ends in the block `{name}_end`."""
        kind = f"<{lanes} x double>" if lanes > 1 else "double"
        place = self._do(f"add i64 {self._do('mul i64 %o, %inner')}, {i}")
        values: dict[str, str] = {}
        taken = list(zip(self._kernel.inputs, self._varies, inputs, strict=True))
        for key, varies, address in taken:
            if not varies[0]:
                values[key] = self._load(kind, lanes, varies, address, "0", i)
        for line in self._kernel.once:
            values[line.target] = self._operation(line, kind, lanes, values)
        stored = {
            name: self._do(f"getelementptr double, ptr {address}, i64 {place}")
            for name, address in zip(self._outs, outs, strict=True)
        }
        extremes: dict[str, Sequence[str]] = {
            which: getattr(self._kernel, which) for which in ("least", "largest") if which in stored
        }
        if extremes:
            reached = self._extremes(name, kind, lanes, i, values, taken, extremes)
        else:
            self._jump(f"label %{name}_end")
        self._label(f"{name}_end")
        for which in extremes:
            ratio = self._do(f"fdiv {kind} {reached[which][0]}, {reached[which][1]}")
            before = self._do(f"load {kind}, ptr {stored[which]}, align 8")
            self._lines.append(
                f"  store {kind} {self._choice(_TESTS[which], ratio, before, kind, lanes)}, ptr {stored[which]},"
                " align 8"
            )
        for key in self._kernel.results:
            self._lines.append(f"  store {kind} {values[key]}, ptr {stored[key]}, align 8")

    def _extremes(
        self,
        name: str,
        kind: str,
        lanes: int,
        i: str,
        values: Mapping[str, str],
        taken: Sequence[Any],
        extremes: Mapping[str, Sequence[str]],
    ) -> dict[str, tuple[str, str]]:
        """The loop over the corners; return the extremes as numerator and denominator.

        Of two ratios the larger is found by products, and only that one is divided: a division takes as long as a dozen
        of them.
        """
        parts = {
            line.target: (line.left, line.right)
            for line in self._kernel.each
            if line.operation == "/" and line.target in self._kernel.ratios
        }
        self._jump(f"label %{name}_rows")
        self._label(f"{name}_rows")
        self._lines.append(f"  %{name}_p = phi i64 [0, %{name}], [%{name}_p_next, %{name}_rows]")
        one = self._number(1.0, kind, lanes)
        for which in extremes:
            worst = self._number(math.inf if which == "least" else -math.inf, kind, lanes)
            self._lines += [
                f"  %{name}_{which}_{part} = phi {kind} [{start}, %{name}], [%{name}_{which}_{part}_next, %{name}_rows]"
                for part, start in (("n", worst), ("d", one))
            ]
        inside = dict(values)
        for key, varies, address in taken:
            if varies[0]:
                inside[key] = self._load(kind, lanes, varies, address, f"%{name}_p", i)
        for line in self._kernel.each:
            if line.target not in parts:
                inside[line.target] = self._operation(line, kind, lanes, inside)
        for which, ratios in extremes.items():
            best = f"%{name}_{which}_n", f"%{name}_{which}_d"
            for ratio in ratios:
                over, under = (
                    ((inside[x] if isinstance(x, str) else self._number(x, kind, lanes)) for x in parts[ratio])
                    if ratio in parts
                    else (inside[ratio], one)
                )
                sides = self._do(f"fmul {kind} {over}, {best[1]}"), self._do(f"fmul {kind} {best[0]}, {under}")
                better = self._do(f"fcmp {_TESTS[which]} {kind} {sides[0]}, {sides[1]}")
                truth = f"<{lanes} x i1>" if lanes > 1 else "i1"
                best = (
                    self._do(f"select {truth} {better}, {kind} {over}, {kind} {best[0]}"),
                    self._do(f"select {truth} {better}, {kind} {under}, {kind} {best[1]}"),
                )
            self._lines += [
                f"  %{name}_{which}_{part}_next = select i1 true, {kind} {value}, {kind} {value}"
                for part, value in zip("nd", best, strict=True)
            ]
        self._lines.append(f"  %{name}_p_next = add i64 %{name}_p, 1")
        self._jump(f"i1 {self._do(f'icmp slt i64 %{name}_p_next, %rows')}, label %{name}_rows, label %{name}_end")
        return {which: (f"%{name}_{which}_n_next", f"%{name}_{which}_d_next") for which in extremes}

    def _load(self, kind: str, lanes: int, varies: tuple[bool, bool, bool], address: str, row: str, i: str) -> str:
        """An input at some points: element ((row x outer) + o) x inner + i, without the axes that it lacks."""
        index = row if varies[0] else "0"
        for along, length, at in ((varies[1], "%outer", "%o"), (varies[2], "%inner", i)):
            if along:
                index = self._do(f"add i64 {self._do(f'mul i64 {index}, {length}')}, {at}")
        at = self._do(f"getelementptr double, ptr {address}, i64 {index}")
        if varies[2]:
            return self._do(f"load {kind}, ptr {at}, align 8")
        return self._spread(self._do(f"load double, ptr {at}, align 8"), kind, lanes)

    def _spread(self, value: str, kind: str, lanes: int) -> str:
        """One number for all points."""
        if lanes == 1:
            return value
        first = self._do(f"insertelement {kind} poison, double {value}, i64 0")
        return self._do(f"shufflevector {kind} {first}, {kind} poison, <{lanes} x i32> zeroinitializer")

    def _operation(self, line: Line, kind: str, lanes: int, values: Mapping[str, str]) -> str:
        left, right = (
            values[x] if isinstance(x, str) else self._number(x, kind, lanes) for x in (line.left, line.right)
        )
        if line.operation in _ARITHMETIC:
            return self._do(f"{_ARITHMETIC[line.operation]} {kind} {left}, {right}")
        if line.operation == "greater":
            return self._choice(
                "ogt", left, right, kind, lanes, self._number(1.0, kind, lanes), self._number(0.0, kind, lanes)
            )
        return self._choice("ogt" if line.operation == "maximum" else "olt", left, right, kind, lanes)

    def _choice(self, test: str, left: str, right: str, kind: str, lanes: int, one: str = "", two: str = "") -> str:
        truth = f"<{lanes} x i1>" if lanes > 1 else "i1"
        return self._do(
            f"select {truth} {self._do(f'fcmp {test} {kind} {left}, {right}')}, {kind} {one or left}, {kind}"
            f" {two or right}"
        )

    def _number(self, value: float, kind: str, lanes: int) -> str:
        number = f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016X}"
        return f"<{', '.join(f'double {number}' for _ in range(lanes))}>" if kind != "double" else number
