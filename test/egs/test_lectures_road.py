"""The command that most users start with: from a folder of audio to a student that other libraries load."""

import pytest
from whisper_tiny import tiny_checkpoint, write_talks

SMALL = [  # conf/lectures.yaml with a Whisper that fits a test
    "teacher.checkpoint=models/tiny.pt",
    "auxiliaries.base.checkpoint=models/tiny.pt",
    "decode.batch_size=4",
    "decode.precision=fp32",
    "student.decoder_layers=[1]",
    "student.n_decoder_layers=1",
    "distill.training.steps=2",
    "distill.training.batch_size=2",
    "distill.training.warmup_steps=1",
    "distill.training.evaluations=1",
    "distill.training.precision=fp32",
    "export.formats=[openai]",
]


@pytest.mark.slow
def test_from_a_folder_of_audio_without_captions_to_a_student(warm_project, tmp_path):
    import whisper

    (warm_project.root / "models").mkdir()
    (warm_project.root / "models" / "tiny.pt").write_bytes(tiny_checkpoint().read_bytes())
    n_talks = len(write_talks(tmp_path / "recordings" / "a course"))
    run_sh = str(warm_project.root / "egs" / "lectures" / "run.sh")
    done = warm_project.command(run_sh, "--root", str(tmp_path / "recordings"), "--nj", "1", *SMALL)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert f"in {n_talks} utterances = kept {n_talks}" in done.stdout
    exp = warm_project.root / "exp" / "lectures"
    results = (exp / "report" / "RESULTS.md").read_text(encoding="utf-8")
    assert "The config names no test set" in results
    assert "k2d_composite" in results
    (student,) = (exp / "export" / "k2d_composite-s1" / "openai").glob("*.pt")
    assert whisper.load_model(str(student), device="cpu").dims.n_text_layer == 1
    card = (student.parent / "README.md").read_text(encoding="utf-8")
    assert "It has not been scored on any test set." in card
