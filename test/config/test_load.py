"""Loading a config: all faults at once, each with file, line, key, found, expected and the nearest known name."""

from pathlib import Path

import pytest

from k2d.config import Config, ConfigError, load_config, settings_of
from k2d.config.load import known_keys
from k2d.config.schema import Method, Select
from k2d.core.layout import PROJECT_ROOT

CONFS = sorted((PROJECT_ROOT / "conf").glob("*.yaml"))


def write(folder: Path, text: str, name: str = "exp.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return [str(fault) for fault in caught.value.faults]


def test_each_conf_loads_and_begins_with_its_command():
    loaded = [load_config(path).name for path in CONFS]
    assert loaded == [path.stem for path in CONFS]
    assert len(loaded) >= 4  # a glob that finds nothing must not pass
    for path in CONFS:
        command = f"--conf conf/{path.name}" if path.name != "mini.yaml" else "./run.sh"
        assert command in "".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:3])


SOURCES = ("paper", "code", "ours", "card", "openai-whisper", "Distil-Whisper", "transformers", "Whisper's")


def unexplained(path: Path) -> list[str]:
    """The lines with a value that have no source, and whose parent lines have none."""
    found: list[str] = []
    above: list[tuple[int, bool]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        setting, _, remark = line.partition("#")
        if not setting.strip():
            continue
        depth = len(setting) - len(setting.lstrip())
        above = [(each, has_source) for each, has_source in above if each < depth]
        has_source = remark.strip().startswith(SOURCES) or any(has_source for _, has_source in above)
        above.append((depth, has_source))
        if not has_source and not setting.rstrip().endswith(":"):
            found.append(setting.strip())
    return found


def test_each_line_of_the_papers_config_has_its_source(tmp_path):
    for name in ("k2d_large_v2.yaml", "breeze_asr_25.yaml"):
        assert unexplained(PROJECT_ROOT / "conf" / name) == ["base: k2d_large_v2.yaml"] * (name[0] == "b")
    (tmp_path / "x.yaml").write_text("a:  # paper\n  b: 1\nc:\n  d: 2  # two\n  e: 3  # ours\n  f: 4\n")
    assert unexplained(tmp_path / "x.yaml") == ["d: 2", "f: 4"]


def test_the_papers_config_and_the_authors_code_differ_only_in_known_settings():
    """The settings that differ between the paper and the authors' code, each of which is explained."""
    paper, authors = (load_config(PROJECT_ROOT / "conf" / f"k2d_large_v2{of}.yaml") for of in ("", "_authors"))
    differing = [
        (
            config.teacher.language,
            config.chunk.duration,
            config.distill.timestamps_probability,
            config.distill.previous_text_probability,
            config.select.empty_validator_distance,
            config.student.freeze_positions,
        )
        for config in (paper, authors)
    ]
    assert differing == [(("zh",), "sum", 1.0, 0.0, 1.0, False), (("zh", "en"), "authors", 0.5, 0.2, 0.0, True)]
    for config in (paper, authors):
        training, objective = config.distill.training, config.distill.objective
        assert (training.steps, training.batch_size, training.warmup_steps, training.lr) == (120_000, 256, 12_000, 1e-4)
        assert (objective, config.select.alpha, config.chunk.max_s) == ({"ce": 0.8, "kl": 1.0}, 0.4, 30.0)
        assert (config.select.ngram, config.select.ngram_count) == (6, 5)


def test_the_config_with_a_stronger_teacher_changes_only_the_teacher_and_the_sets():
    paper, breeze = (load_config(PROJECT_ROOT / "conf" / f"{name}.yaml") for name in ("k2d_large_v2", "breeze_asr_25"))
    assert breeze.teacher.language == ("zh", "en")
    assert (breeze.teacher.family, breeze.export.teacher_licence) == ("whisper", "apache-2.0")
    same = ("auxiliaries", "decode", "chunk", "select", "student", "distill", "score")
    assert [name for name in same if getattr(paper, name) != getattr(breeze, name)] == []


def test_an_empty_file_gives_the_defaults_under_its_name(tmp_path):
    config = load_config(write(tmp_path, ""))
    assert config == Config(name="exp")
    assert (config.select.alpha, config.select.ngram, config.select.ngram_count) == (0.4, 6, 5)
    assert config.distill.objective == {"ce": 0.8, "kl": 1.0}


def test_all_faults_are_reported_together_each_with_its_line(tmp_path):
    path = write(
        tmp_path,
        "seed: x\n"
        "select:\n"
        "  aplha: 0.3\n"
        "  ngram: 0\n"
        "  methods:\n"
        "    a: {rule: compsite}\n"
        "corpora:\n"
        "  dev: [mini/a]\n"
        "  in_domain: [mini/a]\n"
        "chnk: 1\n",
    )
    found = set(faults_of(path, "student.n_decoder_layers=0", "nonsense"))
    assert found == {
        f'{path}:1: seed: found "x", expected a whole number',
        f"{path}:3: select.aplha: found an unknown key, expected a known one; did you mean select.alpha?",
        f"{path}:4: select.ngram: found 0, expected at least 1",
        f'{path}:6: select.methods.a.rule: found "compsite", '
        "expected one of 'none', 'trivial', 'mer', 'per', 'composite', 'alignment', 'estimated_error', 'random' or "
        "'oracle'",
        f'{path}:9: corpora.in_domain: found "mini/a", expected one role per split (it is dev already)',
        f"{path}:10: chnk: found an unknown key, expected a known one; did you mean chunk?",
        "command line: student.n_decoder_layers: found 0, expected at least 1",
        "command line: nonsense: expected key=value; for example select.alpha=0.3",
    }


def test_a_known_name_in_the_wrong_place_is_explained(tmp_path):
    (fault,) = faults_of(write(tmp_path, "alpha: 0.3\n"))
    assert fault.endswith("did you mean select.alpha?")


@pytest.mark.parametrize("alpha", ["-0.1", "1", "1.0", ".nan", ".inf", "'0.4'", "true", "[0.4]"])
def test_alpha_outside_its_range_or_no_number(tmp_path, alpha):
    (fault,) = faults_of(write(tmp_path, f"select: {{alpha: {alpha}}}\n"))
    assert ":1: select.alpha: found" in fault
    assert "expected" in fault


@pytest.mark.parametrize("alpha", ["0", "0.4", "0.999", "4e-1"])
def test_alpha_inside_its_range(tmp_path, alpha):
    assert load_config(write(tmp_path, f"select: {{alpha: {alpha}}}\n")).select.alpha == float(alpha)


@pytest.mark.parametrize("key", ["ngram", "ngram_count"])
@pytest.mark.parametrize("value", [0, -1, 2.5])
def test_n_and_c_are_whole_and_positive(tmp_path, key, value):
    (fault,) = faults_of(write(tmp_path, f"select: {{{key}: {value}}}\n"))
    assert f"select.{key}: found {value}, expected " in fault


def test_a_config_of_a_newer_toolkit(tmp_path):
    (fault,) = faults_of(write(tmp_path, "schema_version: 99\nsomething_of_the_future: 1\n"))
    assert "schema_version: found 99, expected at most 1; update K2D" in fault


def test_a_teacher_that_is_decoded_by_ctc_alone_cannot_label(tmp_path):
    by_ctc = "teacher: {decode: ctc}\n"
    assert load_config(write(tmp_path, by_ctc)).teacher.decode == "ctc"
    (fault,) = faults_of(write(tmp_path, by_ctc + "corpora: {unlabelled: [mini/lectures]}\n"))
    assert 'teacher.decode: found "ctc", expected joint or attention, because labels need timestamps' in fault


def test_base_is_merged_deeply_and_null_removes_a_named_entry(tmp_path):
    write(tmp_path, "seed: 7\nselect: {alpha: 0.3, methods: {a: {rule: none}, b: {rule: trivial}}}\n", "base.yaml")
    child = write(tmp_path, "base: base.yaml\nselect: {ngram: 4, methods: {a: null, c: {rule: none}}}\n", "child.yaml")
    config = load_config(child)
    assert config.name == "child"
    assert config.seed == 7
    assert config.select == Select(alpha=0.3, ngram=4, methods={"b": Method(rule="trivial"), "c": Method(rule="none")})


def test_a_fault_in_a_base_names_the_base(tmp_path):
    base = write(tmp_path, "\nseed: -1\n", "base.yaml")
    (fault,) = faults_of(write(tmp_path, "base: base.yaml\n"))
    assert fault.startswith(f"{base}:2: seed: found -1")


def test_a_value_of_the_child_hides_the_fault_of_the_base(tmp_path):
    write(tmp_path, "seed: -1\n", "base.yaml")
    assert load_config(write(tmp_path, "base: base.yaml\nseed: 3\n")).seed == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [("base: nowhere.yaml\n", "expected a file beside this one"), ("base: exp.yaml\n", "leads back to this file")],
)
def test_a_bad_base_is_refused(tmp_path, text, problem):
    assert problem in faults_of(write(tmp_path, text))[0]


def test_overrides_are_read_as_yaml_and_win(tmp_path):
    config = load_config(
        write(tmp_path, "select: {alpha: 0.3}\n"), ["select.alpha=0.2", "distill.seeds=[1, 2]", "name=x"]
    )
    assert (config.select.alpha, config.distill.seeds, config.name) == (0.2, (1, 2), "x")


def test_fields_that_contradict_each_other_are_refused(tmp_path):
    faults = faults_of(
        write(
            tmp_path,
            "teacher: {model: a.yaml, checkpoint: b, training: {phases: {one: {batch_size: 9, accumulate: 2, "
            "augment: {snr_db: [9, 3]}}}}}\n"
            "select: {methods: {x: {rule: mer, auxiliary: bsae}}}\n"
            "chunk: {duration: sum}\n"
            "distill: {seeds: [1, 1], training: {batch_size: 10, accumulate: 3}}\n",
        )
    )
    assert [fault.split(": found")[0].split(": ")[1] for fault in faults] == [
        "teacher.checkpoint",
        "teacher.training.phases.one.accumulate",
        "teacher.training.phases.one.augment.snr_db",
        "select.methods.x.auxiliary",
        "select.methods.x.rule",
        "distill.seeds",
        "distill.training.accumulate",
    ]


def test_transcripts_need_a_language_and_pseudo_labels_bring_theirs(tmp_path):
    """A published Whisper may guess the language. A Whisper trained here, and models trained on the pool, may not."""
    guesses = "teacher: {family: whisper, checkpoint: large-v2}\n"
    assert load_config(write(tmp_path, guesses)).teacher.guesses_language
    (fault,) = faults_of(write(tmp_path, guesses + "distill: {controls: [student_pool]}\n"))
    assert 'distill.controls: found ["student_pool"], expected none of these, or teacher.language' in fault
    labels = "select: {methods: {all: {rule: none}}}\ndistill: {controls: [teacher_self], teacher_self_of: all}\n"
    assert load_config(write(tmp_path, guesses + labels)).teacher.guesses_language
    (fault,) = faults_of(write(tmp_path, "auxiliaries: {base: {family: whisper, model: tiny.yaml}}\n"))
    assert "auxiliaries.base.language: found [], expected at least one" in fault


@pytest.mark.parametrize(
    ("distill", "fault"),
    [
        (
            "controls: [teacher_self]",
            "found null, expected the method whose chunks the control",
        ),
        ("controls: [teacher_self], teacher_self_of: al", 'found "al", expected the method whose chunks the control'),
    ],
)
def test_a_teacher_that_learns_from_its_own_labels_needs_a_method_that_keeps_them(tmp_path, distill, fault):
    (found,) = faults_of(write(tmp_path, f"select: {{methods: {{all: {{rule: none}}}}}}\ndistill: {{{distill}}}\n"))
    assert f"distill.teacher_self_of: {fault}" in found


ELSEWHERE = "corpora: {unlabelled: [lab/a]}\npseudo_label: {from: labels.jsonl, made_by: Other}\n"


def test_labels_and_opinions_may_come_from_another_system(tmp_path):
    text = (
        ELSEWHERE
        + "distill: {objective: {ce: 1.0, kl: 0.0}}\nauxiliaries: {ear: {from: {lab/a: ear.jsonl}}, base: {}}\n"
    )
    config = load_config(write(tmp_path, text))
    assert (config.pseudo_label.from_, config.pseudo_label.is_of_another) == ("labels.jsonl", True)
    assert [list(config.auxiliaries), list(config.decoding_auxiliaries())] == [["ear", "base"], ["base"]]
    printed = settings_of(config)
    assert printed["pseudo_label"] == {"from": "labels.jsonl", "made_by": "Other"}
    assert printed["auxiliaries"]["ear"]["from"] == {"lab/a": "ear.jsonl"}
    assert {"pseudo_label.from", "auxiliaries.*.from", "auxiliaries.*.checkpoint"} <= set(known_keys())


def test_a_precision_of_outputs_that_are_not_kept_is_refused(tmp_path):
    (fault,) = faults_of(write(tmp_path, "distill: {encoded_precision: fp16}\n"))
    assert fault.endswith(
        'distill.encoded_precision: found "fp16", expected fp32, because nothing is stored (distill.keep_encoded is '
        "false)"
    )
    load_config(write(tmp_path, "distill: {encoded_precision: fp16, keep_encoded: true}\n"))


def test_terms_on_the_teachers_distribution_need_the_teachers_labels(tmp_path):
    """Other terms are accepted. If the teacher itself wrote the file, all terms are accepted."""
    objective = "distill: {objective: {ce: 1.0, kl: 1.0, dkd: 0.5, hidden_mse: 0.1, ctc: 0.2}}\n"
    learns = "student: {freeze_encoder: false}\n"
    faults = faults_of(write(tmp_path, ELSEWHERE + objective + learns))
    assert [fault.split(": found")[0].split(": ")[1] for fault in faults] == [
        f"distill.objective.{name}" for name in ("kl", "dkd", "hidden_mse")
    ]
    assert faults[0].split("found ")[1] == (
        "1.0, expected 0, as the labels are another system's (pseudo_label.from): kl compares with the teacher's "
        "distribution, which favours what the teacher would have written, not the label. Learn from ce alone, or set "
        "pseudo_label.made_by: teacher if the teacher wrote the file"
    )
    own = load_config(write(tmp_path, ELSEWHERE + objective + learns), ["pseudo_label.made_by=teacher"])
    assert not own.pseudo_label.is_of_another


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("pseudo_label: {from: 3}", "pseudo_label.from: found 3, expected a file, or a file for each split"),
        ("pseudo_label: {from: ''}", 'pseudo_label.from: found "", expected a file, or a file for each split'),
        ("pseudo_label: {from: {a: x}}", 'pseudo_label.from: found {"a": "x"}, expected a file, or a file for each'),
        ("pseudo_label: {from_: x}", "pseudo_label.from_: found an unknown key, expected a known one; did you mean"),
        ("pseudo_label: {made_by: X}", 'pseudo_label.made_by: found "X", expected pseudo_label.from beside it'),
        ("teacher: {from: x}", "teacher.from: found an unknown key, expected one of family, model, checkpoint"),
        ("auxiliaries: {e: {from: x, model: y}}", 'auxiliaries.e.model: found "y", expected nothing, as the texts are'),
        ("auxiliaries: {e: {from: x, language: [zh]}}", 'auxiliaries.e.language: found ["zh"], expected nothing, as'),
        ("auxiliaries: {e: {from: x, decoding: {batch_size: 2}}}", 'auxiliaries.e.decoding: found "a section", expect'),
    ],
)
def test_settings_that_contradict_transcripts_from_a_file_are_refused(tmp_path, text, fault):
    (found,) = faults_of(write(tmp_path, f"{text}\n"))
    assert fault in found


def test_each_split_has_a_file_of_its_own(tmp_path):
    splits = "corpora: {unlabelled: [lab/a, lab/b]}\ndistill: {objective: {ce: 1.0}}\n"
    expected = "expected a file for each unlabelled split: {lab/a: FILE, lab/b: FILE}"
    for given, found in (("x", '"x"'), ("{lab/a: x}", '"lab/a"'), ("{lab/a: x, lab/c: y}", '"lab/a, lab/c"')):
        (fault,) = faults_of(write(tmp_path, f"{splits}pseudo_label: {{from: {given}}}\n"))
        assert f"pseudo_label.from: found {found}, {expected}" in fault
    config = load_config(write(tmp_path, splits + "pseudo_label: {from: {lab/b: y, lab/a: x}}\n"))
    assert config.pseudo_label.from_ == {"lab/b": "y", "lab/a": "x"}


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "-x", ""])
def test_a_name_is_never_a_path(tmp_path, name):
    assert "name: found" in faults_of(write(tmp_path, f"name: '{name}'\n"))[0]


def test_a_missing_file_is_reported_in_one_line(tmp_path):
    (fault,) = faults_of(tmp_path / "nothing.yaml")
    assert fault == f"{tmp_path}/nothing.yaml: cannot be read: No such file or directory; name an existing YAML file"


def test_phases_keep_their_order_and_are_overridden_by_name(tmp_path):
    path = write(tmp_path, "teacher: {training: {phases: {encoder: {train: encoder}, all: {lr: 1e-3}}}}\n")
    phases = load_config(path, ["teacher.training.phases.encoder.steps=7"]).teacher.training.phases
    assert [(name, phase.train, phase.steps) for name, phase in phases.items()] == [
        ("encoder", "encoder", 7),
        ("all", "all", 1000),
    ]


def test_a_training_without_phases_is_refused(tmp_path):
    (fault,) = faults_of(write(tmp_path, "teacher: {training: {phases: {}}}\n"))
    assert fault.endswith("teacher.training.phases: found {}, expected at least one phase")


def test_a_printed_config_loads_as_the_same_config(tmp_path):
    import yaml

    config = load_config(PROJECT_ROOT / "conf" / "mini_table.yaml")
    path = write(tmp_path, yaml.safe_dump(settings_of(config), allow_unicode=True))
    assert load_config(path) == config


def test_each_setting_has_an_explanation_or_a_plain_name():
    """A field without a docstring must have a clear name. New ones are added to this list on purpose."""
    keys = set(known_keys())
    assert {"select.methods.*.rule", "distill.objective.*", "teacher.training.phases.*.lr", "corpora.labelled"} <= keys
    assert len(keys) > 80


def test_a_mistyped_key_is_refused_with_a_suggestion(tmp_path):
    (fault,) = faults_of(write(tmp_path, "select:\n  aplha: 0.3\n"))
    assert fault.endswith(":2: select.aplha: found an unknown key, expected a known one; did you mean select.alpha?")


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("seed=" + "9" * 5_000, "a whole number of 5,000 digits, expected at most 18"),
        (".".join("a" * 3_000) + "=1", "the key has 3,000 parts, expected at most 32"),
        ("seed=" + "[" * 3_000, "values are nested more than 32 deep"),
        ("seed=" + "[" * 3_000 + "]" * 3_000, "values are nested more than 32 deep"),
        ("seed=" + "{a: " * 200 + "1" + "}" * 200, "values are nested more than 32 deep"),
        ("a" * 5_000 + "=1", "found an unknown key"),
    ],
    ids=["digits", "parts", "open", "brackets", "braces", "long"],
)
@pytest.mark.slow
def test_a_very_long_word_is_reported_in_a_few_lines(tmp_path, word, fault):
    (found,) = faults_of(write(tmp_path, "seed: 1\n"), word)
    assert found.startswith("command line: ")
    assert fault in found
    assert len(found) < 800


def test_a_base_whose_name_is_too_long_is_a_fault(tmp_path):
    (found,) = faults_of(write(tmp_path, f"base: {'a' * 5_000}\n"))
    assert "expected a file beside this one" in found
    assert len(found) < 300
