"""Beside what was published: measured rows, validation, calibration and ladders."""
