"""Is the profile in the middle of binging this title? Beside platform.toml: `[features] files = ["binge.py"]`."""

import numpy as np

from rec_platform.features import Fact, encoder

binge_plays = Fact("binge_plays", "profile_title", "plays", 3, "the profile's plays of the title over 3 days")
binge_all = Fact("binge_all", "profile", "plays", 3, "all plays of the profile over 3 days")


@encoder(unit="share", about="of the profile's plays over 3 days, those of the title; missing without plays")
def binge_share(binge_plays, binge_all):
    return np.where(binge_all > 0, binge_plays / np.maximum(binge_all, 1), np.nan)


@encoder(unit="share", about="of the profile's plays of the title ever, those of 3 days; missing for new titles")
def binge_pace(binge_plays, profile_title_plays):
    return np.where(profile_title_plays > 0, binge_plays / np.maximum(profile_title_plays, 1), np.nan)
