"""`sunhwan forecast`: what is asked of it that cannot be, in one sentence."""

import pytest


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--target", "T,T"], "'T,T' was given; expected names with commas between them, each once"),
        (["--target", "T", "--target", "T"], "'T,T' was given; expected names with commas between them"),
        (
            ["--target", "T", "--target", "none"],
            "plain.csv has no data column 'none'; it has 'T', 'x'",
        ),
        (["--target", "time"], "plain.csv has no data column 'time'; it has 'T', 'x'"),
        (["--target", "T", "--known", "x", "--known", "x"], "'x,x' was given"),
        (["--target", "T", "--known", "T"], "is both a target and known in advance"),
        (["--target", "T", "--features", "x,"], "'x,' was given"),
        (["--target", ""], "'' was given"),
        ([], "Missing option '--target'"),
        (["--target", "T", "--horizon", "9000h"], "a window needs 9,025"),
        (["--target", "T", "--horizon", "9" * 30 + "d"], "expected at most 1,000,000,000"),
    ],
)
def test_what_is_asked_is_refused(options, said, refuses, tmp_path):
    rows = "".join(f"2024-01-{1 + i // 24:02} {i % 24:02}:00,{i % 7},{i % 5}\n" for i in range(340))
    (tmp_path / "plain.csv").write_text("time,T,x\n" + rows)
    assert said in refuses("forecast", "plain.csv", *options)
