"""Many questions at once: grids, comparisons and their summaries."""
