"""One recording of the equations, and what reads it: floats, grids, machine code."""
