"""All plot schemata."""

from . import plots_find, plots_heart, plots_make, plots_world

PLOTS = plots_find.PLOTS + plots_heart.PLOTS + plots_make.PLOTS + plots_world.PLOTS
