"""Stage 2: a vocabulary from which all texts can be restored."""

import pytest
import sentencepiece

from k2d.config import load_config
from k2d.core.errors import UsageError
from k2d.data.kaldi.datadir_writer import write_datadir
from k2d.data.rows import Utterance
from k2d.pipeline.runner import make_job, run_stage
from k2d.pipeline.stage_list import BY_VERB

TEXTS = ["我們 today 去 park 玩", "hello world 你好", "", "the plan 很 smart 你 know", "去玩 today 龍"]


@pytest.fixture
def lab(tmp_path):
    """An experiment with a labelled split and model configs of the given windows."""

    def make(*lengths_s, texts=TEXTS, options=""):
        rows = [Utterance(f"s-{n}", f"s-{n}", f"a/{n}.wav", "s", text) for n, text in enumerate(texts)]
        write_datadir(tmp_path / "data/lab/pool", rows, durations_s=[(row.id, 1.0) for row in rows])
        for n, length_s in enumerate(lengths_s):
            conf = f"{{fs: 16000, speech_length: {length_s}, speech_resolution: 0.1}}"
            (tmp_path / f"{n}.yaml").write_text(f"preprocessor_conf: {conf}\n")
        models = [f"{{model: {tmp_path}/{n}.yaml}}" for n in range(len(lengths_s))]
        auxiliaries = ", ".join(f"a{n}: {model}" for n, model in enumerate(models[1:], start=1))
        (tmp_path / "x.yaml").write_text(
            f"corpora: {{labelled: [lab/pool]}}\nteacher: {models[0] if models else '{}'}\n"
            f"auxiliaries: {{{auxiliaries}}}\ntokens: {{{options}}}\n"
        )
        places = [f"exp={tmp_path / 'exp'}", f"data={tmp_path / 'data'}"]
        job = make_job(load_config(tmp_path / "x.yaml", places))
        job.layout.exp.mkdir(parents=True, exist_ok=True)
        run_stage(BY_VERB["tokens"], job)
        return job.layout.exp / "tokens"

    return make


def test_all_texts_are_restored_and_each_symbol_is_one_token(lab, caplog):
    folder = lab(2, 2, options="vocab_size: 314")
    tokens = (folder / "tokens.txt").read_text(encoding="utf-8").split("\n")[:-1]
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "bpe.model"))
    assert len(tokens) == len(set(tokens))
    assert {"<blank>", "<sos>", "<eos>", "<zho>", "<asr>", "<0.00>", "<2.00>"} <= set(tokens)
    assert "<2.10>" not in tokens
    for text in TEXTS:
        cut = pieces.encode(text, out_type=str)
        assert set(cut) <= set(tokens)
        assert pieces.decode(cut) == text
    assert pieces.encode("<0.10>你好<1.20>", out_type=str)[-1] == "<1.20>"


def test_the_vocabulary_is_reproducible(lab, tmp_path):
    first = (lab(2, options="vocab_size: 314") / "bpe.model").read_bytes()
    for name in ("exp", "data"):
        (tmp_path / name).rename(tmp_path / f"{name}.before")
    assert (lab(2, options="vocab_size: 314") / "bpe.model").read_bytes() == first


def test_windows_that_differ_are_refused(lab):
    with pytest.raises(
        UsageError, match=r"auxiliaries.a1.model: its window is 3 s in steps of 0.1 s at 16000 Hz, that"
    ):
        lab(2, 3)


def test_without_a_model_to_train_no_vocabulary_is_made(lab):
    assert not lab().exists()
