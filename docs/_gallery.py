"""The gallery's order: from the data to one's own handwriting."""

ORDER = (
    "plot_look_at_the_data.py",
    "plot_training_curves.py",
    "plot_mistakes.py",
    "plot_grid_search.py",
    "plot_cross_validation.py",
    "plot_calibration.py",
    "plot_messy_data.py",
    "plot_export.py",
    "plot_handwriting.py",
)


def place_in_order(filename):
    """Return the place of an example."""
    return ORDER.index(filename)
