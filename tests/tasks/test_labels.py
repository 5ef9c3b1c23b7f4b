from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from thresher.tasks.labels import Label, LabelNode, label_tree

NAMES = st.text(st.sampled_from("ab/"), min_size=1, max_size=7)


def tree(*names: str) -> tuple[LabelNode, ...]:
    return label_tree([Label(name) for name in names])


def outline(nodes: tuple[LabelNode, ...]) -> dict[str, object]:
    return {node.name: outline(node.children) if node.children else None for node in nodes}


def test_names_without_slashes_lie_side_by_side() -> None:
    assert outline(tree("lease", "loan")) == {"lease": None, "loan": None}


def test_labels_with_a_common_parent_lie_below_it() -> None:
    found = tree("legal/lease", "finance", "legal/nda")
    assert outline(found) == {"legal": {"lease": None, "nda": None}, "finance": None}
    assert [answer for node in found for answer in node.answers()] == ["legal/lease", "legal/nda", "finance"]


def test_a_slash_in_one_name_alone_is_part_of_it() -> None:
    assert outline(tree("N/A", "and/or", "x")) == {"N/A": None, "and/or": None, "x": None}
    assert outline(tree("/a", "/b", "c//d", "c//e", "f/", "f/ ")) == dict.fromkeys(
        ("/a", "/b", "c//d", "c//e", "f/", "f/ ")
    )


def test_a_listed_parent_gives_its_description_and_is_no_answer() -> None:
    (node, other) = label_tree([Label("legal/nda"), Label("legal", "what a court reads"), Label("other")])
    assert (node.description, node.answers(), other.answers()) == ("what a court reads", ("legal/nda",), ("other",))


def test_deeper_levels_keep_only_real_parents() -> None:
    found = tree("a/b/c", "a/b/d", "a/e", "x/y/z", "x/y/w")
    assert outline(found) == {"a": {"b": {"c": None, "d": None}, "e": None}, "x": {"y": {"z": None, "w": None}}}
    assert found[0].children[0].path == "a/b"


@given(st.lists(NAMES, min_size=1, unique=True))
def test_every_label_is_an_answer_once_or_a_parent(names: list[str]) -> None:
    def parents(nodes: tuple[LabelNode, ...]) -> list[str]:
        return [path for node in nodes if node.children for path in [node.path, *parents(node.children)]]

    found = tree(*names)
    answers = [answer for node in found for answer in node.answers()]
    above = parents(found)
    assert len(answers) == len(set(answers))
    assert set(answers) <= set(names)
    assert set(names) - set(answers) <= set(above)
    assert all(any(answer.startswith(parent + "/") for answer in answers) for parent in above)
