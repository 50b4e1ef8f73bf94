"""Model to operations: every tensor operation of a decode step with its exact counts, split over the devices.

Counts only; nothing here knows a time. Conventions: a multiply-add is two FLOPs; the input embedding
table is not read (one row a token is); a tied table is read once, as the LM head; norms and biases
stay in the activations' format when matrices are quantised.
"""

from perfmodel.operations.builders import Operation
from perfmodel.operations.formats import Formats, plain_formats
from perfmodel.operations.step import (
    Step,
    active_parameter_count,
    decode_step,
    embedding_elements,
    parameter_count,
    pipeline_stages,
    stage_layers,
    total_work,
)

__all__ = [
    "Formats",
    "Operation",
    "Step",
    "active_parameter_count",
    "decode_step",
    "embedding_elements",
    "parameter_count",
    "pipeline_stages",
    "plain_formats",
    "stage_layers",
    "total_work",
]
