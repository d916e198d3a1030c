"""The model that docs/models.md adds passes the contract suite as it is printed there."""

import re
import sys
from pathlib import Path
from types import ModuleType

from rec_platform.testing.model_contract import RankerContract

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def printed_module() -> ModuleType:
    """The page's code block that defines SignTrainer, as a module."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (source,) = [block for block in blocks if "class SignTrainer(RankerTrainer)" in block]
    module = ModuleType("printed_sign")
    sys.modules[module.__name__] = module
    exec(compile(source, str(PAGE), "exec"), module.__dict__)
    return module


class TestSign(RankerContract):
    trainer = printed_module().SignTrainer()
