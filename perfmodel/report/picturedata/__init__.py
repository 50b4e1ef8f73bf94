"""The numbers of each picture, asked of `estimate` one by one. Nothing here draws."""

from perfmodel.report.picturedata.kinds import KINDS, picture_data, rows_of
from perfmodel.report.picturedata.reports import report_data

__all__ = ["KINDS", "picture_data", "report_data", "rows_of"]
