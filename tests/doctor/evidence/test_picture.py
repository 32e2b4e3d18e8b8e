import numpy as np

from npgpt.doctor.evidence.picture import largest_block, neighbourhood, picture


def test_a_small_mask_is_drawn_element_by_element():
    wrong = np.zeros((2, 2, 3), dtype=bool)
    wrong[1, 0, 1:] = True
    assert picture(wrong) == "...\n...\n.##\n..."


def test_a_large_mask_is_drawn_in_cells_and_one_wrong_element_shows():
    wrong = np.zeros((100, 500), dtype=bool)
    wrong[99, 0] = True
    lines = picture(wrong).splitlines()
    assert len(lines) == 12 and {len(line) for line in lines} == {60}
    assert lines[-1] == "#" + 59 * "." and "#" not in "".join(lines[:-1])


def test_the_largest_block_is_found_among_single_elements():
    wrong = np.zeros((4, 5), dtype=bool)
    wrong[0, 0] = wrong[3, 4] = True
    wrong[1:3, 1:4] = True
    assert largest_block(wrong) == "[1:3, 1:4]"
    assert largest_block(np.ones((2, 3), dtype=bool)) == "[:, :]"


def test_the_neighbourhood_stays_inside_the_row():
    text = neighbourhood(np.arange(6.0).reshape(2, 3), np.zeros((2, 3)), (1, 0))
    assert text.splitlines()[0] == "near [1, 0:3]"
    assert text.splitlines()[1].split() == ["analytic", "3", "4", "5"]
