from actors.config.graph import mermaid
from tests.config.manifest_text import CONTRACT_EXAMPLE, read


def test_the_graph_shows_nodes_members_and_connections() -> None:
    assert mermaid(read(CONTRACT_EXAMPLE)).splitlines() == [
        "flowchart LR",
        '    n0["reader"]',
        '    n1["first"]',
        '    n2["second"]',
        '    n3[["writers (sequential)"]]',
        "    n3 == 1 ==> n1",
        "    n3 == 2 ==> n2",
        '    n0 -- "run" --> n3',
    ]


def test_pickers_files_and_functions_are_shown() -> None:
    text = mermaid(
        read("""
            allow_imports: [pkg]
            agents:
              a: {connections: [{type: file, path: x.txt}, {type: callable, callable: "pkg:f"}]}
            teams:
              p: {mode: parallel, members: [a], picker: a}
              s: {mode: sequential, members: [a], validator: a}
        """)
    )

    for line in [
        "n1 -.-> n0",
        "n1 -. picker .-> n0",
        "n2 == validator ==> n0",
        'n0 --> f0[("x.txt")]',
        'n0 --> f1("pkg:f")',
    ]:
        assert f"    {line}" in text.splitlines()


def test_names_cannot_break_out_of_their_label() -> None:
    text = mermaid(read("agents: {'a\"] --> evil[\"<script>': {}}"))

    assert len(text.splitlines()) == 2
    assert text.count('"') == 2
    assert "<" not in text


def test_an_empty_manifest_has_an_empty_graph() -> None:
    assert mermaid(read("agents: {}")) == "flowchart LR\n"


def test_name_and_description_are_the_title() -> None:
    text = mermaid(read("name: pool\ndescription: 'says: \"hi\"'\nagents: {}"))

    assert text == '---\ntitle: "pool: says: \\"hi\\""\n---\nflowchart LR\n'
