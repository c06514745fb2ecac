"""A checkpoint is continued only by the training that wrote it: all settings that affect the weights are compared.

The stages are the real ones. They train the tiny recogniser of the tests on tones.
"""

import shutil
from dataclasses import replace

import pytest

from k2d.config import load_config
from k2d.core.errors import K2DError
from k2d.core.stamp import write_stamp
from k2d.fitting import chunk_tables, student_or_control, teacher_or_auxiliary
from k2d.pipeline import runner
from k2d.pipeline.job import Counts, Unit
from k2d.pipeline.stage_list import BY_VERB
from k2d.pipeline.unit_status import state_of
from k2d.stages import auxiliary, distill, export, teacher

CONF = """
corpora: {{labelled: [lab/pool], dev: [lab/dev], unlabelled: [lab/train]}}
data: {root}/data
exp: {root}/exp
teacher: {{language: [zho], model: {root}/tiny.yaml, decode: joint, training: &training {{phases: {{
  one: {{steps: 2, batch_size: 2, warmup_steps: 0}}}}}}}}
auxiliaries: {{base: {{language: [zho], model: {root}/tiny.yaml, decode: joint, training: *training}}}}
select: {{methods: {{all: {{rule: none}}}}}}
distill:
  controls: [teacher_more, teacher_self, student_pool]
  teacher_self_of: all
  training: {{steps: 2, batch_size: 2, warmup_steps: 0}}
"""

FILES = (
    "tiny.yaml",
    "data/lab/pool/text",
    "data/lab/dev/text",
    "data/lab/other/text",
    "data/lab/train/wav.scp",
    "exp/x/tokens/tokens.txt",
    "exp/x/models/teacher/model.pth",
    "exp/x/models/student_init/model.pth",
    "exp/x/select/all/kept/lab/train/text",
    "exp/x/pseudo/lab/train/hyp.jsonl",
)

STAGES = {"teacher": teacher, "auxiliary": auxiliary, "distill": distill}

# What decides a training: unit, what is changed (a setting, or a file that is edited), what the refusal names.
LABELS = [
    ("teacher.language=[eng]", "setting language"),
    ("seed=2", "setting seed"),
    ("teacher.training.phases.one.lr=0.5", "setting training.phases.one.lr"),
    ("teacher.training.phases.one.accumulate=2", "setting training.phases.one.accumulate"),
    ("teacher.training.phases.one.decoder_layers=1", "setting training.phases.one.decoder_layers"),
    ("teacher.training.precision=bf16", "setting training.precision"),
    ("teacher.training.average_best=1", "setting training.average_best"),
    ("teacher.decode=attention", 'setting decode.mode: "joint" -> "attention"'),
    ("decode.max_tokens=9", "setting decode.max_tokens: 224 -> 9"),
    ("decode.ctc_weight=0.7", "setting decode.ctc_weight"),
    ("decode.temperatures=[0.0,0.2]", "setting decode.temperatures"),
    ("decode.stop_loops=false", "setting decode.loop"),
    ("select.ngram=9", "setting decode.loop.ngram"),
    ("corpora.dev=[lab/other]", "data/lab/other is new"),
    ("tiny.yaml", "tiny.yaml has changed"),
    ("data/lab/pool/text", "data/lab/pool has changed"),
    ("data/lab/dev/text", "data/lab/dev has changed"),
    ("exp/x/tokens/tokens.txt", "input tokens has changed"),
]
STUDENTS = [
    ("teacher.language=[eng]", "setting language"),
    ("seed=2", "setting heldout_seed"),
    ("student.freeze_encoder=false", "setting freeze_encoder"),
    ("student.freeze_positions=true", "setting freeze_positions"),
    ("distill.objective.ce=0.5", "setting distill.objective.ce"),
    ("distill.temperature=1.0", "setting distill.temperature"),
    ("distill.heldout_share=0.5", "setting distill.heldout_share"),
    ("distill.training.lr=0.5", "setting distill.training.lr"),
    ("distill.training.accumulate=2", "setting distill.training.accumulate"),
    ("distill.training.precision=bf16", "setting distill.training.precision"),
    ("decode.max_tokens=9", "setting decode.max_tokens"),
    ("decode.ctc_weight=0.7", "setting decode.ctc_weight"),
    ("exp/x/models/teacher/model.pth", "input models/teacher has changed"),
    ("exp/x/pseudo/lab/train/hyp.jsonl", "input pseudo/lab/train has changed"),
]
FROM_CHUNKS = [
    ("exp/x/select/all/kept/lab/train/text", "input select/all has changed"),
    ("distill.vocabulary=in_use", 'setting distill.vocabulary: null -> "in_use"'),
]
# Its stamp holds student.decoder_layers, and its weights have so many.
FROM_STUDENT = [("exp/x/models/student_init/model.pth", "input models/student_init has changed")]
FROM_POOL = [
    ("data/lab/pool/text", "data/lab/pool has changed"),
    ("teacher.training.phases.one.label_smoothing=0.2", "setting pool_phase.label_smoothing"),
    ("teacher.training.phases.one.augment.noise=0.1", "setting pool_phase.augment.noise"),
]
OF_UNIT = {
    ("teacher", "teacher"): LABELS,
    ("auxiliary", "base"): [(what.replace("teacher.", "auxiliaries.base."), message) for what, message in LABELS],
    ("distill", "all-s1"): [*STUDENTS, *FROM_CHUNKS, *FROM_STUDENT],
    ("distill", "student_pool-s1"): [*STUDENTS, *FROM_STUDENT, *FROM_POOL],
    ("distill", "teacher_more-s1"): [*STUDENTS, *FROM_POOL],
    ("distill", "teacher_self-s1"): [row for row in (*STUDENTS, *FROM_CHUNKS) if "objective" not in row[0]],
}
NOT_DECIDING = ["decode.batch_size=2", "decode.beam=3", "distill.keep_encoded=true", "max_bad=0.5", "report.title=x"]


class Lab:
    """An experiment whose stages train the tiny recogniser and keep their checkpoints."""

    def __init__(self, root):
        self.root = root
        (root / "x.yaml").write_text(CONF.format(root=root), encoding="utf-8")
        for name in FILES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("as it was")

    def job(self, *settings, **how):
        return runner.make_job(load_config(self.root / "x.yaml", settings), **how)

    def make(self, verb, name, *settings, **how):
        """Make a unit, from its last checkpoint if there is one."""
        job = self.job(*settings, **how)
        (unit,) = [unit for unit in STAGES[verb].units(job) if unit.output.name == name]
        return STAGES[verb].make(unit, job, self.root / "aside")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, fake):
    """The experiment, with stages that were changed to train the tiny recogniser."""
    from k2d.train import pool
    from k2d.train.batches import StepBatches
    from k2d.train.supervised import SupervisedLoss

    def lesson(row, seed, *_):
        recogniser, material = fake.FakeRecogniser(seed=1), fake.material()
        phase = next(iter(lab.job().config.teacher.training.phases.values()))

        def batches(share, first):
            return StepBatches(material, phase, (seed, 0), share, first)

        return student_or_control.Lesson(recogniser, SupervisedLoss(recogniser, phase), batches, Counts(1, 1))

    lab = Lab(tmp_path_factory.mktemp("lab"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(student_or_control, "_lesson", lesson)
        patch.setattr(student_or_control, "heldout_of", lambda job: {})
        patch.setattr(teacher_or_auxiliary, "window_of", lambda _: fake.WINDOW)
        patch.setattr(teacher_or_auxiliary, "new_recogniser", lambda *_, **__: fake.FakeRecogniser(seed=1))
        patch.setattr(pool, "open_pool", lambda *_, **__: fake.make_pool())
        for module in (teacher_or_auxiliary, student_or_control):
            patch.setattr(module, "save_trained", lambda *_: None)
            patch.setattr(module, "_measure", lambda *_: None)
        for verb, name in OF_UNIT:
            lab.make(verb, name)
        yield lab


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "change", "reason"),
    [(unit, change, reason) for unit, changes in OF_UNIT.items() for change, reason in changes],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_a_training_is_not_continued_after_a_change_that_affects_weights(trained, unit, change, reason):
    file = trained.root / change
    settings = () if file.is_file() else (change,)
    if not settings:
        file.write_text("another")
    try:
        with pytest.raises(K2DError) as refused:
            trained.make(*unit, *settings)
    finally:
        if not settings:
            file.write_text("as it was")
    message = str(refused.value)
    assert reason in message
    assert f"exp/x/work/{unit[1]}: " in message
    assert message.endswith("undo the change to continue it, or remove the folder to train again")
    assert message.count(" -> ") + message.count("has changed") + message.count("is new") <= 2, "one change, one reason"


@pytest.mark.slow
@pytest.mark.parametrize("unit", OF_UNIT, ids=lambda unit: unit[1])
def test_a_training_is_continued_after_a_change_without_effect(trained, unit):
    for setting in NOT_DECIDING:
        trained.make(*unit, setting)
    trained.make(*unit, nj=2)


@pytest.mark.slow
def test_a_checkpoint_of_earlier_code_is_refused(trained, tmp_path):
    """It has no version, and its optimiser state is for other weights."""
    import torch

    from k2d.train.checkpoints import Checkpoints

    work = trained.root / "exp" / "x" / "work" / "teacher"
    shutil.copytree(work, tmp_path / "kept")
    checkpoints = Checkpoints(work / "checkpoints", 1)
    try:
        state = checkpoints.latest()
        del state["version"]
        checkpoints.save(state, step=3, phase="one")
        with pytest.raises(K2DError) as refused:
            trained.make("teacher", "teacher")
    finally:
        shutil.rmtree(work)
        shutil.move(tmp_path / "kept", work)
    assert str(refused.value).endswith(
        "its checkpoints were written by an earlier version of this toolkit (training code 1, now 2), which this one "
        "cannot continue; remove the folder to train again"
    )
    assert torch.is_tensor(next(iter(state["network"].values())))


@pytest.mark.parametrize("verb", ["teacher", "auxiliary"])
def test_an_older_model_is_done_although_its_stamp_lacks_the_decoding(tmp_path, verb):
    """Its stamp does not record how checkpoints were chosen. Only the recorded settings are compared."""
    lab = Lab(tmp_path)
    (unit,) = STAGES[verb].units(lab.job())
    recipe = state_of(BY_VERB[verb], unit, lab.job()).recipe
    former = replace(recipe, settings={key: value for key, value in recipe.settings.items() if key != "decode"})
    unit.output.mkdir(parents=True, exist_ok=True)
    write_stamp(unit.output, former, {}, {})
    assert state_of(BY_VERB[verb], unit, lab.job()).is_done
    write_stamp(unit.output, replace(former, settings={**former.settings, "seed": 99}), {}, {})
    assert state_of(BY_VERB[verb], unit, lab.job()).changes == (f"setting seed: 99 -> {recipe.settings['seed']}",)
    write_stamp(unit.output, replace(recipe, settings={**recipe.settings, "decode": None}), {}, {})
    (message,) = state_of(BY_VERB[verb], unit, lab.job()).changes
    assert message.startswith('setting decode: null -> {"')


def test_the_stamp_names_the_vocabulary_only_if_a_part_of_it_is_used(tmp_path):
    """Older stamps of students stay valid. Controls of the pool are trained on the whole vocabulary."""
    lab = Lab(tmp_path)

    def settings_of(*changes):
        job = lab.job(*changes)
        found = {unit.output.name: unit.settings["distill"] for unit in distill.units(job)}
        exported = {unit.settings["student"]: unit.settings["distill"] for unit in export.units(job)}
        return {**found, "exported": exported["all-s1"]}

    usual = settings_of()
    assert not any({"vocabulary", "sampled_tokens"} & set(each) for each in usual.values())
    assert settings_of("distill.sampled_tokens=5") == usual
    in_part = settings_of("distill.vocabulary=in_use", "distill.sampled_tokens=5")
    named = {"vocabulary": "in_use", "sampled_tokens": 5}
    for name in usual:
        is_control = name in ("teacher_more-s1", "student_pool-s1")
        assert in_part[name] == {**usual[name], **({} if is_control else named)}, name


def test_the_stamp_names_a_weight_only_if_the_method_has_one(tmp_path):
    lab = Lab(tmp_path)

    def settings_of(*changes):
        return {unit.output.name: unit.settings for unit in distill.units(lab.job("auxiliaries.ear={}", *changes))}

    before = settings_of("select.methods.all.rule=per")
    assert not any("weight" in settings for settings in before.values())
    after = settings_of("select.methods.all={rule: per, weight: distance}")
    for name, settings in after.items():
        learns_from_it = name in ("all-s1", "teacher_self-s1")
        assert settings == {**before[name], **({"weight": "distance"} if learns_from_it else {})}


def test_without_development_sets_the_stamp_lacks_the_decoding(tmp_path):
    lab = Lab(tmp_path)
    (unit,) = teacher.units(lab.job("corpora.dev=[]"))
    assert unit.settings["decode"] is None


def test_the_order_of_splits_changes_nothing(tmp_path, monkeypatch):
    """Stamps do not contain it, so chunks always have the same order."""
    lab, seen = Lab(tmp_path), []
    monkeypatch.setattr(distill, "train_student_or_control", lambda *arguments: seen.append(arguments))
    for splits in ("[lab/train,lab/other]", "[lab/other,lab/train]"):
        job = lab.job(f"corpora.unlabelled={splits}")
        system = distill.TrainedSystem("all", 1, job.config, None)
        distill.make(Unit(tmp_path / "all-s1", system, ()), job, tmp_path)
    kept = [list(arguments[3].folders) for arguments in seen]
    assert kept[0] == kept[1] == ["lab/other", "lab/train"]


@pytest.mark.slow
def test_kept_encodings_belong_to_one_teacher_and_its_audio(tmp_path, fake, monkeypatch):
    """Paths and labels do not change if a corpus is made again with other noise."""
    from k2d.train import chunk_batches, encoded

    lab, keys = Lab(tmp_path), []
    monkeypatch.setattr(chunk_tables, "table_of", lambda *_: [])
    monkeypatch.setattr(encoded, "open_encoded", lambda *_, made_from, **__: keys.append(made_from))
    cut = tmp_path / "exp" / "x" / "chunks" / "lab" / "train" / "wav.scp"
    cut.parent.mkdir(parents=True)
    cut.write_text("as it was")
    for changed in (None, cut, tmp_path / "exp" / "x" / "models" / "teacher" / "model.pth"):
        if changed is not None:
            changed.write_text("another")
        chunk_tables.teacher_outputs(fake.FakeRecogniser(), chunk_batches.Labelling(), lab.job())
    assert len({str(key) for key in keys}) == 3
