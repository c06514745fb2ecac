"""A small LDC2015S04 and a small repository SEAME-dev-set, with the faults of both."""

from __future__ import annotations

from pathlib import Path

from made_audio import speechlike, write_audio

PHASE_II = {
    "conversation": {
        "01NC01FBX_0101": [
            "460\t1200\tCS\tokay 哎 <v-noise> 你好 [lah]",  # both times below 10 s, in few digits
            "1204\t3996\tEN\tso (ppl) I ~Orchard~ then",
            "4000\t4400\tZH\t(ppb)(ppb)",  # noise alone
            "4400\t4410\tZH\t嗯",  # a hundredth of a second
        ],
        "06NC12MAY_0101": [
            "1621\t4596\tCS\tokay 哎文平你好 okay",
            "4596\t7184\tCS\tokay 好你介绍先啦",
            "7300\t7900\tZH\t这个不在名单里",
        ],
        "99NC99FXX_0101": ["100\t900\tZH\t不在名单里"],
    },
    "interview": {
        "NI01MAX_0101": [
            "1000249\t1001751\tCS\t<unk malay> 去 market",
            *(f"{at}\t{at + 500}\tEN\tline number {at}" for at in range(10_000, 40_000, 500)),
        ],
        "NI06FBP_0101": ["2000\t4000\tEN\thello hello 可以"],
    },
}
PHASE_I = {
    "conversation": {
        "01NC01FBX_0101": ["460\t1200\tokay 哎 <v-noise> 你好 [lah]", "1204\t3996"],
        "06NC12MAY_0101": ["1621\t4596\tokay 哎文平你好 okay", "4596\t7184\tokay 好你介绍先啦"],
    },
    "interview": {"NI01MAX_0101": ["1000249\t1001751\t去 market"], "NI06FBP_0101": ["2000\t4000\thello hello 可以"]},
}
LENGTHS_S = {"NI01MAX_0101": 1002.0}  # longer than a thousand seconds: six digits

DEV_MAN = {
    # The published lists round otherwise than the release: 1.62 and 1621, 4.60 and 4596, which the id has as 459.
    "nc12m-06nc12may_0101-00162-00459": ("06nc12may_0101 1.62 4.60", "okay 哎 文 平 你 好 okay"),
    "nc12m-06nc12may_0101-00459-00718": ("06nc12may_0101 4.60 7.18", "okay 好 你 介 绍 先 <v-noise> 啦"),
}
DEV_SGE = {"ni06f-ni06fbp_0101-00200-00400": ("ni06fbp_0101 2.00 4.00", "hello hello 可 以")}


def write_seame(root: Path, lengths_s: dict[str, float] = LENGTHS_S) -> Path:
    """The release as it unpacks, and the repository beside it."""
    release = root / "LDC2015S04" / "seame" / "data"
    for phase, styles in (("phaseII", PHASE_II), ("phaseI", PHASE_I)):
        for style, recordings in styles.items():
            for name, lines in recordings.items():
                write(release / style / "transcript" / phase / f"{name}.txt", [f"{name}\t{line}" for line in lines])
    for style, recordings in PHASE_II.items():
        for seed, name in enumerate(recordings):
            samples = speechlike(lengths_s.get(name, 8.0), rate_hz=16_000, seed=seed)
            write_audio(release / style / "audio" / f"{name}.flac", samples)
    lists = root / "SEAME-dev-set"
    for folder, rows in (("dev_man", DEV_MAN), ("dev_sge", DEV_SGE)):
        write(lists / folder / "segments", [f"{key} {segment}" for key, (segment, _) in rows.items()])
        write(lists / folder / "text", [f"{key} {text}" for key, (_, text) in rows.items()])
    names = ["conversation/01nc01fbx_0101/01nc01fbx_0101.wav", "interview/ni01max_0101/ni01max_0101.wav"]
    write(lists / "train" / "wav_file.txt", [*(f"./seame/phasei/original/{name}" for name in names), ""])
    return root


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
