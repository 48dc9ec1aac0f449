from actors.config.dot import dot
from tests.config.manifest_text import CONTRACT_EXAMPLE, read


def test_the_graph_shows_nodes_members_and_connections() -> None:
    assert dot(read(f"name: pool\ndescription: 'Says \"hi\"'\n{CONTRACT_EXAMPLE}")).splitlines() == [
        "digraph {",
        "  rankdir=LR; node [shape=box];",
        '  label="pool: Says \\"hi\\"";',
        '  n0 [label="reader"];',
        '  n1 [label="first"];',
        '  n2 [label="second"];',
        '  n3 [label="writers (sequential)", peripheries=2];',
        '  n3 -> n1 [style=bold, label="1"];',
        '  n3 -> n2 [style=bold, label="2"];',
        '  n0 -> n3 [label="run"];',
        "}",
    ]


def test_pickers_files_and_functions_are_shown() -> None:
    text = dot(
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
        "n1 -> n0 [style=dashed];",
        'n1 -> n0 [style=dotted, label="picker"];',
        'n2 -> n0 [style=dotted, label="validator"];',
        'f0 [label="x.txt", shape=cylinder];',
        'f1 [label="pkg:f", shape=ellipse];',
        "n0 -> f1;",
    ]:
        assert f"  {line}" in text.splitlines()


def test_names_cannot_break_out_of_their_label() -> None:
    text = dot(read("agents: {'a\\\"]; evil [label=\"': {}}"))

    assert text.splitlines()[2] == '  n0 [label="a\\\\\\"]; evil [label=\\""];'
