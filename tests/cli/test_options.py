"""Values of options: what is taken, and what is refused with the reason."""

from __future__ import annotations

import argparse

import pytest

from bench.cli import options
from bench.cli.main import main


def test_a_batch_size_is_auto_or_a_number():
    assert options.batch_size("auto") is None
    assert options.batch_size("8") == 8
    with pytest.raises(argparse.ArgumentTypeError, match="'none' is not a whole number of at least 1"):
        options.batch_size("none")


@pytest.mark.parametrize(
    ("read", "least", "most"),
    [(options.positive, 1, None), (options.seed, 0, 2**63 - 1), (options.port, 0, 65535)],
    ids=["amount", "seed", "port"],
)
def test_numbers_lie_within_their_limits(read, least, most):
    assert read(str(least)) == least
    for wrong in (str(least - 1), "1.5", "", "one"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"'{wrong}' is not a "):
            read(wrong)
    if most is not None:
        assert read(str(most)) == most
        with pytest.raises(argparse.ArgumentTypeError, match=f"'{most + 1}' is not a "):
            read(str(most + 1))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("run --task arrays --chanels separate", "unknown option --chanels; did you mean --channels? "),
        ("run --task mnist1d --imgsize=3", "unknown option --imgsize; did you mean --size? "),
        ("run --task mnist1d --qqq", "unknown option --qqq; "),
        ("list methods more", "unexpected more; "),
        ("run --target benign", "--target: 'benign' is not the number of an output; the first is 0; "),
        ("run --channels seperate", "--channels: invalid choice: 'seperate' (choose from "),
        ("explain", "the following arguments are required: TASK; "),
        ("run --samples 0 --all", "--samples: '0' is not a whole number of at least 1; "),
        ("run --batch-size none --all", "--batch-size: 'none' is not a whole number of at least 1; "),
        ("list nothing", "kind: invalid choice: 'nothing' (choose from "),
        ("", "the following arguments are required: COMMAND; "),
        ("bench", "COMMAND: invalid choice: 'bench' (choose from "),
    ],
)
def test_a_wrong_option_is_one_sentence_with_the_nearest(words, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"bench: {sentence}")
    command = "" if words in ("", "bench") else f" {words.split()[0]}"
    assert line.endswith(f"`python -m bench{command} --help` shows what is allowed")
