"""The packed ESPnet model, unpacked and loaded by ESPnet and its Speech2Text."""

import zipfile

import pytest
import torch
import yaml
from models_made import made_recogniser

from k2d.core.errors import K2DError
from k2d.export import espnet
from k2d.export.request import ExportRequest
from k2d.models.parity_check import make_probe, probe_logits

pytestmark = pytest.mark.slow  # ESPnet takes seconds to import

WANTED = ExportRequest("k2d_composite-s1")


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    return made_recogniser(tmp_path_factory.mktemp("student"), num_blocks=2)


@pytest.fixture(scope="module")
def model(student, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    student.save(folder)
    return folder


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported 課")
    espnet.write(model, WANTED, folder)
    return folder


def test_meta_names_each_file_for_speech2text(exported):
    (path,) = exported.iterdir()
    assert path.name == "k2d_composite-s1.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        meta = yaml.safe_load(archive.read("meta.yaml"))
        config = yaml.safe_load(archive.read(meta["yaml_files"]["s2t_train_config"]))
        assert {meta["files"]["s2t_model_file"], config["bpemodel"]} <= set(archive.namelist())


def test_speech2text_writes_the_same_from_the_unpacked_folder(student, exported, tmp_path):
    from espnet2.bin.s2t_inference import Speech2Text
    from espnet2.main_funcs.pack_funcs import unpack

    files = unpack(exported / "k2d_composite-s1.zip", tmp_path)
    assert all(path.startswith(str(tmp_path)) for path in files.values())
    loaded = Speech2Text(**files, lang_sym="<zho>", beam_size=1)
    state = loaded.s2t_model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in student.network.state_dict().items())
    assert loaded.s2t_train_args.bpemodel == str(tmp_path / "exp/k2d_composite-s1/bpe.model")

    probe = make_probe(student)
    found = espnet.loaded_back(exported, WANTED, probe, probe_logits(student, probe))
    assert found.library == "espnet"
    assert found.n_logits == (probe.n_prompt + 8) * student.codec.n_tokens
    assert found.difference < 1e-5


def test_weights_of_another_model_are_refused(exported, tmp_path):
    other = made_recogniser(tmp_path, seed=1, num_blocks=2)
    probe = make_probe(other)
    with pytest.raises(K2DError, match=r"expected at most 0\.0001: the exported student computes something else"):
        espnet.loaded_back(exported, WANTED, probe, probe_logits(other, probe))


def test_the_same_student_makes_the_same_file(model, exported, tmp_path):
    espnet.write(model, WANTED, tmp_path)
    name = "k2d_composite-s1.zip"
    assert (tmp_path / name).read_bytes() == (exported / name).read_bytes()


def test_a_damaged_file_is_named(exported, student, tmp_path):
    whole = (exported / "k2d_composite-s1.zip").read_bytes()
    (tmp_path / "k2d_composite-s1.zip").write_bytes(whole[: len(whole) // 2])
    probe = make_probe(student)
    with pytest.raises(K2DError, match=r"k2d_composite-s1\.zip: ESPnet cannot load it"):
        espnet.loaded_back(tmp_path, WANTED, probe, probe_logits(student, probe))
