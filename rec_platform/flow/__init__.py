"""The flow: which stages there are, what a window of days needs, what is stale, and running it.

Stages come in layers: inside a layer a partition reads only its own date and country; what reads another date or
country starts a new layer.
"""

from rec_platform.flow.index import Index
from rec_platform.flow.platform import Platform
from rec_platform.flow.registry import LAYERS, STAGES, stages_for
from rec_platform.flow.run import Report, run_stage
from rec_platform.flow.window import Window

__all__ = ["LAYERS", "STAGES", "Index", "Platform", "Report", "Window", "run_stage", "stages_for"]
