"""What a new feature is worth on old dates, before anything is run with it.

Training sets of the days asked for are published, labels and all; so only the new columns are computed, each context's as
of its own instant, by the code that would compute them in the flow. Nothing is written.

    Trial       a feature file beside a home: what it adds, on which days               trial.py
    examined    distribution, missing share, likeness to features there are, and
                ranking power alone                                                     alone.py
    sought_in_vain
                texts that its filters look for and that no play or title has           sought.py
    trained     the default ranker with and without the new features, judged on whole
                candidate sets, paired                                                  beside.py
"""

from rec_platform.flow.trial.alone import Examined, examined, spearman
from rec_platform.flow.trial.beside import TRIAL_ITEMS, Trained, trained
from rec_platform.flow.trial.sample import home_sample
from rec_platform.flow.trial.sought import Absent, sought_in_vain
from rec_platform.flow.trial.trial import Trial

__all__ = [
    "TRIAL_ITEMS", "Absent", "Examined", "Trained", "Trial", "examined", "home_sample", "sought_in_vain", "spearman", "trained",
]  # fmt: skip
