"""Dagster wiring, one file per stage. The only package that imports dagster; what a stage does stands in rec_platform."""

import warnings

import dagster as dg

# Backfill policies and partitioned checks are what this project is made of; Dagster calls them beta on every load.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
