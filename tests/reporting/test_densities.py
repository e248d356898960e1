import numpy as np

from tcsm.reporting.densities import densities


def test_a_panel_a_law_with_the_second_coordinate_upwards():
    law = np.arange(6.0).reshape(2, 3)
    figure = densities([("one", law), ("two", law), ("three", law), ("four", law)])
    assert len(figure.axes) == 6
    assert [axes.get_title() for axes in figure.axes] == ["one", "two", "three", "four", "", ""]
    image = figure.axes[0].images[0]
    assert image.get_array().tolist() == law.T.tolist()
    assert image.origin == "lower"
