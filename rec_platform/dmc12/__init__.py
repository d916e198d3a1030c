"""DMC-12, the nested ranking format: contexts with their lists of items, as offsets and flat columns."""

from rec_platform.dmc12.frame import Frame

__all__ = ["Frame"]
