"""Files of CTranslate2 with wrong sizes, a missing end or random bytes give one message and need little memory."""

import random
import resource
import struct
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from ctranslate2_made import packed, record, records, scalar, word, write_ctranslate2
from whisper_made import made_state

from k2d.core.errors import K2DError
from k2d.models.whisper.checkpoint_files import read_dims, read_whisper
from k2d.models.whisper.ctranslate2_binary import read_binary
from k2d.models.whisper.dims import WhisperDims, shapes

SMALLEST = WhisperDims(80, 1500, 1, 1, 1, 51_864, 8, 1, 1, 1)
N_FUZZED = 2000
LEEWAY = 2**28
"""Bytes of address space that reading files of 120 kB may need."""


@contextmanager
def little_memory():
    """Limit the memory, so that allocating much more than the size of the files raises a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + LEEWAY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def refused(path):
    with pytest.raises(K2DError) as caught, little_memory():
        read_binary(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < 500
    return message


GOOD = {"a/weight": record(torch.zeros(2, 3)), "a/switch": scalar(1)}
GOOD_FILE = packed(GOOD, [("b/weight", "a/weight")])


def variable(rank=1, shape=(1,), number=0, n_bytes=4, content=b"1234"):
    return struct.pack(f"<B{len(shape)}IBI", rank, *shape, number, n_bytes) + content


def named(raw, record=variable()):  # noqa: B008 - bytes
    head = struct.pack("<I", 6) + word("WhisperSpec") + struct.pack("<II", 3, 1)
    return head + raw + record + struct.pack("<I", 0)


HUGE = 2**32 - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged at byte 0: 4 bytes for the version are stated, and 0 are left: it is truncated"),
        (b"PK\3\4" + bytes(100), "not a file of CTranslate2's format 6"),
        (packed(GOOD, [], version=7), "format 6, in which Whisper models are written (its first number is 7)"),
        (packed(GOOD, [], specification="TransformerSpec"), "holds a model of TransformerSpec, expected WhisperSpec"),
        (packed(GOOD, [], revision=1), "revision 1 of WhisperSpec, expected 2 or 3"),
        (packed(GOOD, [], revision=4), "revision 4 of WhisperSpec"),
        (
            struct.pack("<I", 6) + word("WhisperSpec") + struct.pack("<II", 3, HUGE) + bytes(1000),
            "4,294,967,295 variables are stated, more than the file has room for",
        ),
        (
            struct.pack("<I", 6) + word("WhisperSpec") + struct.pack("<II", 3, 100_001) + bytes(2_000_000),
            "100,001 variables are stated",
        ),
        (named(struct.pack("<H", 0)), "a name is b'', expected letters"),
        (named(struct.pack("<H", 1) + b"\0"), r"a name is b'\x00', expected letters"),
        (named(struct.pack("<H", 3) + b"abc"), "a name is b'abc', expected letters, digits, _ and / followed by"),
        (named(struct.pack("<H", 6) + b"\x1b[31m\0"), r"a name is b'\x1b[31m\x00'"),
        (named(struct.pack("<H", 6) + b"../..\0"), "a name is b'../..\\x00'"),
        (named(struct.pack("<H", 65_535)), "65,535 bytes for the name are stated, and "),
        (named(word("a"), variable(rank=200)), "a has 200 dimensions, expected 4 at most"),
        (
            named(word("a"), variable(4, (HUGE,) * 4)),
            "a of shape (4294967295, 4294967295, 4294967295, 4294967295) has 4",
        ),
        (
            named(word("a"), variable(1, (HUGE // 4,), 0, HUGE - 3)),
            "4,294,967,292 bytes for the numbers of a are stated",
        ),
        (named(word("a"), variable(1, (0,), 0, 0, b"")), "a of shape (0,) holds no number"),
        (named(word("a"), variable(number=6)), "a has numbers of type 6, expected 0 to 5"),
        (named(word("a"), variable(number=255)), "a has numbers of type 255, expected 0 to 5"),
        (named(word("a"), variable(n_bytes=5)), "a of shape (1,) has 5 bytes, expected 4"),
        (packed({"a": scalar(1)}, [("b", "c")]), "the alias b refers to c, but no variable has this name"),
        (packed({"a": scalar(1)}, [("b", "b")]), "the alias b refers to b, but no variable has this name"),
        (packed({"a": scalar(1)}, [("a", "a")]), "a is there twice"),
        (
            GOOD_FILE[: -len(word("a/weight")) - len(word("b/weight")) - 4] + struct.pack("<I", HUGE),
            "4,294,967,295 ali",
        ),
        (GOOD_FILE + b"\0", "1 bytes after the last alias"),
    ],
)
def test_a_damaged_file_is_reported_with_its_place(content, message, tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    assert message in refused(path)


def test_a_duplicate_variable_is_refused(tmp_path):
    path = tmp_path / "model.bin"
    twice = (
        struct.pack("<I", 6) + word("WhisperSpec") + struct.pack("<II", 3, 2) + 2 * (word("a") + scalar(1)) + bytes(4)
    )
    path.write_bytes(twice)
    assert "a is there twice" in refused(path)


def test_each_truncated_file_is_refused(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(GOOD_FILE)
    assert set(read_binary(path).variables) == {"a/weight", "a/switch", "b/weight"}
    for n_bytes in range(len(GOOD_FILE)):
        path.write_bytes(GOOD_FILE[:n_bytes])
        refused(path)


def test_numbers_are_read_from_their_offset(tmp_path):
    path = tmp_path / "model.bin"
    rows = torch.arange(6.0).view(3, 2)
    stored = {"a": rows, "b": rows.half(), "c": rows.bfloat16(), "d": rows.to(torch.int8), "e": rows.to(torch.int32)}
    path.write_bytes(packed({name: record(each) for name, each in stored.items()}, [("f", "b")]))
    binary = read_binary(path)
    for name, each in {**stored, "f": stored["b"]}.items():
        read = binary.numbers(binary.variables[name])
        assert read.dtype == each.dtype
        assert torch.equal(read, each)
        assert torch.equal(binary.numbers(binary.variables[name], 1, 3), each[1:2])
    path.write_bytes(b"")
    with pytest.raises(K2DError, match="became shorter while it was read"):
        binary.numbers(binary.variables["a"])


@pytest.mark.slow
def test_a_small_file_cannot_hold_a_large_network_by_aliases(tmp_path):
    """A decoder of 1,000 layers that are all aliases of the first one would need memory for all of them."""
    dims = WhisperDims(80, 1500, 64, 1, 1, 51_864, 8, 64, 1, 1)
    folder = write_ctranslate2(tmp_path, dims, numbers="int8")
    assert read_dims(folder) == dims
    made = records(dims, made_state(dims), "int8")
    names = [name for name in made if name.startswith("decoder/layer_0/") and not name.endswith("_scale")]
    aliases = [("decoder/projection/weight", "decoder/embeddings/weight")]
    aliases += [(name.replace("layer_0", f"layer_{n}"), name) for n in range(1, 1000) for name in names]
    (folder / "model.bin").write_bytes(packed(made, aliases))
    with pytest.raises(K2DError, match=r"bytes cannot hold its sizes .*n_text_layer=1000"), little_memory():
        read_dims(folder)


# --- fuzzed ---


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The smallest file of a Whisper: convolutions and layers in int8, the embedding in fp16."""
    folder = write_ctranslate2(tmp_path_factory.mktemp("whole"), SMALLEST, vocabulary="vocabulary.txt")
    state = made_state(SMALLEST)
    made = records(SMALLEST, state, "int8")
    del made["decoder/embeddings/weight_scale"]
    made["decoder/embeddings/weight"] = record(state["decoder.token_embedding.weight"].half())
    content = packed(made)
    (folder / "model.bin").write_bytes(content)
    read_whisper(folder)  # it is right, and the tokens are known from here on
    return folder, content, structure(content, made)


def structure(content, made):
    """The offsets of all bytes that are not numbers of a weight."""
    numbers = set()
    for name, each in made.items():
        at = content.index(word(name) + each) + len(word(name))
        head = 1 + 4 * each[0] + 1 + 4
        numbers |= set(range(at + head, at + len(each)))
    return [at for at in range(len(content)) if at not in numbers]


def mutated(content, places, chance):
    """One to three changes of a file, most of them where its structure is."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.choice(places) if chance.random() < 0.8 else chance.randrange(len(content))
        at = min(at, max(0, len(changed) - 1))
        kind = chance.randrange(8)
        if kind <= 1:
            changed[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 2:
            changed[at : at + 1] = bytes([(changed[at] ^ (1 << chance.randrange(8))) if changed else 0])
        elif kind == 3:
            number = chance.choice([0, 1, 2, 2**16, 2**31 - 1, 2**31, HUGE, chance.randrange(2**32)])
            changed[at : at + 4] = struct.pack("<I", number)
        elif kind == 4:
            del changed[at:]
        elif kind == 5:
            changed[at:at] = chance.randbytes(chance.randint(1, 40))
        elif kind == 6:
            del changed[at : at + chance.randint(1, 40)]
        else:
            begin = chance.randrange(max(1, len(changed)))
            changed[at:at] = changed[begin : begin + chance.randint(1, 300)]
    return bytes(changed)


def read_or_refused(folder):
    """The shapes of a model, or the reason why it is refused. Checks that a loaded model is complete."""
    try:
        read = read_whisper(folder)
    except K2DError as error:
        message = str(error)
        assert "\n" not in message
        assert message.isprintable()
        assert len(message) < 1000
        return message
    assert {name: tuple(tensor.shape) for name, tensor in read.state.items()} == shapes(read.dims)
    assert all(torch.isfinite(tensor).all() for tensor in read.state.values())
    return None


@pytest.mark.slow
def test_a_fuzzed_file_is_loaded_or_refused_in_one_sentence(whole):
    folder, content, places = whole
    chance, reasons = random.Random(18), []
    with little_memory():
        for _ in range(N_FUZZED):
            (folder / "model.bin").write_bytes(mutated(content, places, chance))
            reasons.append(read_or_refused(folder))
    assert 0 < reasons.count(None) < N_FUZZED / 2
    assert len({reason.split(":")[1] for reason in reasons if reason is not None}) > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.json", "vocabulary.txt", "vocabulary.json"])
def test_fuzzed_files_beside_it_are_read_or_refused_in_one_sentence(name, tmp_path):
    folder = write_ctranslate2(tmp_path, SMALLEST, vocabulary="vocabulary.txt", suppress_ids_begin=[220, 50256])
    if name == "vocabulary.json":
        write_ctranslate2(tmp_path, SMALLEST, vocabulary=name)
    content = (folder / name).read_bytes()
    chance, reasons = random.Random(name), []
    with little_memory():
        for _ in range(100):
            (folder / name).write_bytes(mutated(content, range(len(content)), chance))
            reasons.append(read_or_refused(folder))
    assert reasons.count(None) < 90
