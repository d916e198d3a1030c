"""rec-platform: a log of plays goes in; ranked recommendations and honest numbers about them come out.

The flow, told once. Every stage is partitioned by date and country, with checks between the stages:

    landing             rows as delivered                                  plays/ingest.py
      -> raw_plays      valid plays, and refused rows with their rule      plays/raw.py
      -> facts          plays with engagement; tiles: additive facts       facts/
      -> feature_snapshots   all facts as of 00:00, rolled day by day      timetravel/snapshots.py
      -> candidate_models    popularity, collaborative, as of a date       models/
      -> training_sets  sampled contexts with items, labels, weights and
                        features as of each context's own instant          contexts/, timetravel/, features/
      -> ranker_models  fitted on the training sets of the usable days     models/
      -> scores         every model, the whole candidate set               scoring/
      -> metrics        many models, many metrics, every slice             evaluation/
      -> recommendations     ranked titles with reasons                    scoring/

Time travel is its heart: any feature of any profile and title as it was at any past moment, by two clocks (`clock.py`).
This package never imports dagster; the wiring stands in the package `assets` beside it.
"""
