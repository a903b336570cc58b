"""All plot schemata."""

from . import plots_find, plots_heart

PLOTS = plots_find.PLOTS + plots_heart.PLOTS
