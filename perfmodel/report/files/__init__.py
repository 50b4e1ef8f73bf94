"""Answers as files: CSV, Parquet, studies, and grids shared by a cluster."""
