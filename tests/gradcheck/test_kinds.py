from pathlib import Path

import npgpt.gradcheck
from npgpt.gradcheck import KINDS


def test_every_listed_kind_is_one_that_the_doctor_can_say():
    folder = Path(npgpt.gradcheck.__file__).parent
    code = "".join(p.read_text() for p in folder.glob("*.py") if p.name != "kinds.py")
    assert [kind for kind in KINDS if f'"{kind}"' not in code] == []
    assert all(text.endswith(".") for text in KINDS.values())
