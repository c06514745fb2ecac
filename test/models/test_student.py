"""A student has the teacher's weights, in fewer decoder layers."""

import pytest
from models_made import OWSM, made_recogniser

from k2d.core.errors import K2DError, UsageError
from k2d.models.codec import Request
from k2d.models.student import check_pair, shrink

pytestmark = pytest.mark.slow


def logits(recogniser):
    import torch

    with torch.no_grad():
        memory = recogniser.encode(torch.randn(2, 30_000, generator=torch.Generator().manual_seed(0)) * 0.1)
        return recogniser.logits(memory, torch.tensor([recogniser.codec.prompt(Request(("zho",)))] * 2))


def test_a_student_with_all_layers_equals_the_teacher(tiny):
    import torch

    student = shrink(tiny, [0, 1, 2])
    assert torch.equal(logits(student), logits(tiny))
    assert student.n_parameters() == tiny.n_parameters()


def test_chosen_layers_and_all_other_parts_are_copied(tiny):
    import torch

    student = shrink(tiny, [0, 2])
    ours, theirs = student.network.state_dict(), tiny.network.state_dict()
    assert student.n_decoder_layers == 2
    for name, tensor in ours.items():
        source = name.replace("decoders.1.", "decoders.2.") if name.startswith("decoder.decoders.1.") else name
        assert torch.equal(tensor, theirs[source]), name
        assert tensor.data_ptr() != theirs[source].data_ptr(), f"{name} is shared with the teacher"
    assert not torch.equal(logits(student), logits(tiny))


def test_a_student_can_be_saved_and_loaded(tiny, tmp_path):
    import torch

    from k2d.models.registry import load_recogniser

    student = shrink(tiny, [0, 2])
    student.save(tmp_path / "student")
    loaded = load_recogniser(tmp_path / "student")
    assert loaded.n_decoder_layers == 2
    assert torch.equal(logits(loaded), logits(student))


@pytest.mark.parametrize("layers", [[], [0, 3], [-1, 0], [1, 0], [1, 1]])
def test_missing_layers_are_refused(tiny, layers):
    with pytest.raises(UsageError, match="expected some of 0 to 2, each once, ascending"):
        shrink(tiny, layers)


def test_a_student_with_another_vocabulary_or_width_is_refused(tiny, tmp_path):
    check_pair(tiny, shrink(tiny, [0]))
    other = made_recogniser(tmp_path, OWSM)
    with pytest.raises(K2DError, match="their vocabularies differ"):
        check_pair(tiny, other)
    narrow = shrink(tiny, [0])
    narrow.network.encoder._output_size = 8
    with pytest.raises(K2DError, match=r"encoders differ in width \(8 and 16\)"):
        check_pair(tiny, narrow)
