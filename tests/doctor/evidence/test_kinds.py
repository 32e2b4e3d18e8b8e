from pathlib import Path

import npgpt.doctor
from npgpt.doctor import KINDS


def test_every_listed_kind_is_one_that_the_doctor_can_name():
    folder = Path(npgpt.doctor.__file__).parent
    code = "".join(p.read_text() for p in folder.rglob("*.py") if p.name != "kinds.py")
    assert [kind for kind in KINDS
            if f'"{kind}"' not in code and f" : {kind}\n" not in code] == []
    assert all(text.endswith(".") for text in KINDS.values())


def test_the_page_of_the_room_lists_every_kind_with_its_meaning():
    page = (Path(npgpt.doctor.__file__).parent / "README.md").read_text(encoding="utf-8")
    listed = page.split("<!-- kinds -->\n")[1].split("<!-- /kinds -->")[0]
    rows = "".join(f"| [{kind}](explanations.md#{kind}) | {text} |\n"
                   for kind, text in KINDS.items())
    assert listed == "| kind | meaning |\n|---|---|\n" + rows
