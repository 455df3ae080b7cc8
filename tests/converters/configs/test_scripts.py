"""Shell scripts with flags: read as the words that a command would be given, and never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rheostat.converters import config_conversion
from rheostat.converters.configs.documents import document
from rheostat.converters.configs.flags import Flags, unknown
from rheostat.errors import Invalid

LINE = (
    "--train-iters 500000 --global-batch-size 1536 --lr 6.0e-5 --min-lr 6.0e-6 "
    "--lr-decay-style cosine --lr-warmup-fraction .001 --lr-decay-iters 430000 --weight-decay 0.1"
)
ARRAYS = """#!/bin/bash
# Trains with two arrays of flags
export CUDA_DEVICE_MAX_CONNECTIONS=1
NODES=$((8 * $COUNT)); ITERS=500000
DISTRIBUTED_ARGS=(
    --nproc_per_node $NODES
)
TRAINING_ARGS=(
    --train-iters ${ITERS}     # with a comment
    --global-batch-size 1536
    --lr 6.0e-5 --min-lr 6.0e-6
    --lr-decay-style "cosine"
    --lr-warmup-fraction .001
    --lr-decay-iters 430000
)
OTHER_ARGS=(--weight-decay 0.1 --save $1)
if [ -n "$RESUME" ]; then
    OTHER_ARGS+=(--load "$1/last" --clip-grad 1.0)
fi
UNUSED=(--lr 5)
torchrun ${DISTRIBUTED_ARGS[@]} pretrain_gpt.py \\
    ${TRAINING_ARGS[@]} \\
    "${OTHER_ARGS[@]}" 2>&1 | tee log.txt
"""
STRINGS = """#SBATCH --nodes=48
set -x -e
ADDR=$(scontrol show hostnames "$LIST" | head -n 1)
OPTIMIZER=" \\
    --lr 6.0e-5 --min-lr 6.0e-6 \\
    --lr-decay-style cosine --lr-warmup-fraction .001 \\
    "
ARGS=" \\
    --train-iters 500000 --lr-decay-iters 430000 \\
    --global-batch-size 1536 --weight-decay 0.1 $OPTIMIZER \\
    "
cat <<END > ds_config.json
{"optimizer": {"lr": 5}, 'x': "--lr 3
END
export LAUNCHER="python -m torch.distributed.run --master $ADDR"
export CMD=" \\
    `pwd`/pretrain_gpt.py \\
    --tensor-model-parallel-size 4 $ARGS \\
"
echo $CMD --lr 9
srun --wait=60 bash -c '$LAUNCHER --node_rank $SLURM_PROCID $CMD' 2>&1 | tee -a log.txt
"""


def flags(script: str) -> Flags:
    """Return the flags of a script."""
    found = document(script, name="train.sh")
    assert isinstance(found, Flags)
    return found


def why(script: str, flag: str = "lr") -> str:
    """Return why the value of a flag is not known."""
    word = unknown(flags(script)[flag])
    assert word is not None
    return word.why


@pytest.mark.parametrize("script", [LINE, LINE.replace(" --", "\n--"), ARRAYS, STRINGS])
def test_a_script_is_what_its_flags_are(script: str) -> None:
    """Arrays, variables, comments and here-documents give the run of the flags in one line."""
    expected = config_conversion("megatron", LINE)
    assert config_conversion(None, script, file="train.sh") == expected
    assert config_conversion("megatron", script) == expected


def test_what_a_script_does_not_write_is_wrong_only_where_it_is_read() -> None:
    """A value that needs execution, the environment or a condition is refused by its flag."""
    found = flags(ARRAYS)
    assert {name for name, value in found.items() if unknown(value)} == {
        *("nproc_per_node", "save", "load", "clip_grad"),
    }
    script = ARRAYS.replace("0.1 --save", "$WD --save")
    with pytest.raises(Invalid) as caught:
        config_conversion("megatron", script, file="train.sh")
    (error,) = caught.value.errors
    assert (error.field, error.value) == ("config.weight_decay", "$WD")
    assert "WD is not set in the script" in error.message


RUN = "train.py --lr $LR --warmup 1"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (f"{RUN}", "not set in the script"),
        (f"LR=$(cat lr)\n{RUN}", "executed"),
        (f"LR=`cat lr`\n{RUN}", "executed"),
        (f"LR=$((1 + 1))\n{RUN}", "executed"),
        (f"LR=${{LR:-1e-4}}\n{RUN}", "LR may be set in the environment"),
        (f": ${{LR:=1e-4}}\n{RUN}", "not set in the script"),
        (f"LR=1\nif [ $X ]; then LR=2; else LR=3; fi\n{RUN}", "condition, in line 2"),
        (f"LR=1\n[ $X ] && LR=2\n{RUN}", "condition, in line 2"),
        (f"LR=1\ncase $1 in\n a|b) LR=2;;\n *) LR=3 ;;\nesac\n{RUN}", "condition, in line 4"),
        (f"for LR in 1 2; do\n{RUN}\ndone", "set by a loop"),
        (f"while read LR; do {RUN}; done < rates", "read when the script runs"),
        (f"LR=1\n(( LR *= 2 ))\n{RUN}", "computed"),
        (f"LR=1\nlet LR+=2\n{RUN}", "computed"),
        (f"LR=1\nunset LR\n{RUN}", "not set in the script"),
        (f"LR=1 other\n{RUN}", "not set in the script"),
        (f"LR=$1\n{RUN}", "$1 is known only when"),
        (f"LR=1\n{RUN.replace('$LR', '${LR%.*}')}", "executed"),
        ("A=(--lr 1)\n[ $X ] && A+=(--lr 2)\ntrain.py ${A[@]}", "condition, in line 2"),
        (f"LR=1\n[ $X ] && {{ Y=1; LR=2; }}\n{RUN}", "condition, in line 2"),
        (f"LR=1\n[ $X ] &&\n LR=2\n{RUN}", "condition, in line 3"),
        (f"LR=1\nsource conf.sh\n{RUN}", "LR may be set by conf.sh, in line 2"),
        (f"LR=1\n[ -f conf.sh ] && . conf.sh\n{RUN}", "LR may be set by conf.sh"),
        (f"LR=1\nwhile true; do\n{RUN}\nLR=2; done", "LR is set in the loop of line 2"),
        (f"LR=1\nfor i in 1 2; do\n{RUN}\nLR=$i; done", "LR is set in the loop of line 2"),
        (f"LR=1\nprintf -v LR %s 3\n{RUN}", "printf sets it"),
        (f"LR=1\ndeclare -n R=LR; R=2\n{RUN}", "LR may be set by -n"),
        (f"LR=1\neval $(cat conf)\n{RUN}", "LR may be set by $(cat conf)"),
        (f"LR=1\nexport $(cat .env | xargs)\n{RUN}", "LR may be set by $(cat .env"),
        (f"LR=1\nf() {{\n LR=2\n}}\nif [ $X ]; then f; fi\n{RUN}", "condition"),
        (f"LR=1\nf() {{ [ $X ] && return; LR=2; }}\nf\n{RUN}", "condition"),
        (f"if [ $X ]; then f() {{ LR=1; }}; else f() {{ LR=2; }}; fi; f\n{RUN}", "condition"),
        (f"f() {{ local LR=1; }}; f; {RUN}", "not set in the script"),
        ("f() { train.py --lr $1 --warmup 1; }; f 1; f 2", "differ"),
        ("f() { train.py --lr $1 --warmup 1; }; f $X 2", "X is not set"),
        ("train.py --lr 1 --warmup 2\ntrain.py --lr 2 --warmup 2", "lines 1 and 2 differ"),
        (f"LR=1\ntrap 'LR=2' DEBUG\n{RUN}", "condition, in line 2"),
        (f'LR=1\ntrap "$X" DEBUG\n{RUN}', "may be set by the trap of line 2"),
        (f"trap '{RUN}' EXIT\nLR=1\n{RUN}", "lines 1 and 3 differ"),
        (f"LR=1\nshopt -s lastpipe\ncat x | read LR\n{RUN}", "read when the script runs"),
        (f"#!/usr/bin/env zsh\nLR=1\ncat x | while read LR; do x; done\n{RUN}", "read when"),
    ],
)
def test_a_value_that_is_not_known_says_why(script: str, said: str) -> None:
    """Whatever the shell would have to do for a value, it is not done, and told."""
    assert said in why(script)


@pytest.mark.parametrize(
    ("script", "value"),
    [
        (f"LR=1\n{RUN}", "1"),
        (f"export LR='1'; {RUN}", "1"),
        (f"readonly A=1 LR=2\n{RUN}", "2"),
        (f"LR=1\nLR+=e-4\n{RUN}", "1e-4"),
        (f"A=1e\nLR=${{A}}-4\n{RUN}", "1e-4"),
        (f"LR=1\nLR=${{LR:-2}}\n{RUN}", "1"),
        (f'X="$(date)" LR=1\n{RUN}', "1"),
        (f"X=([0]=$(date))\nLR=1 # not 2\n{RUN}", "1"),
        (f'main() {{\n LR=1\n {RUN}\n}}\nmain "$@"', "1"),
        (f"function main {{ LR=1; cd x && {RUN}; }}; main", "1"),
        (f"LR=1\nset_lr() {{\n LR=9\n}}\n{RUN}", "1"),
        (f"LR=1\nset_lr() {{\n LR=9\n}}\nset_lr\n{RUN}", "9"),
        (f"LR=1\nset_lr () (\n LR=9\n)\nset_lr\n{RUN}", "1"),
        (f"LR=1\nfunction set_lr()\n{{\n LR=9; }} > log\nset_lr & {RUN}", "1"),
        (f"f() {{ local LR=9; }}\nLR=1; f; {RUN}", "1"),
        (f"f() {{ g; }}; g() {{ LR=$1; }}\nLR=9; g 1; {RUN}", "1"),
        (f"f() {{ {RUN}; }}\nLR=9; LR=1 f", "1"),
        ('f() { shift; train.py --warmup 1 "$@"; }; f x --lr 1', "1"),
        ("f() { train.py --warmup $2 --lr ${1}; }; f 1 2", "1"),
        ("never() { train.py --lr 2 --warmup 1; }; train.py --lr 1 --warmup 1", "1"),
        (f"LR=1\n(LR=9)\n{RUN}", "1"),
        (f"f() {{ shift {'9' * 5000} $²; }}; LR=1; f 2; {RUN}", "1"),
        (f"LR=1\nfor i in 1 2; do for j in 3; do other; done; X=2; done; {RUN}", "1"),
        (f"LR=1\nwhile [ $X ]; do {RUN}; cat <<E\n done\nE\n X+=2\ndone", "1"),
        (f"LR=1\n( cd x; LR=9; other )\n{RUN}", "1"),
        (f"LR=1\nLR=9 &\n{RUN}", "1"),
        (f"LR=1\nLR=9 | cat\ncat x | LR=8\n{RUN}", "1"),
        (f"LR=1\n{{ LR=9; }} &\ncat x | {{ LR=8; cat; }}\n{RUN}", "1"),
        (f"LR=1\nbash -c 'LR=9'\n{RUN}", "1"),
        (f'LR=1\nsource env/bin/activate\neval "$(conda shell.bash hook)"\n{RUN}', "1"),
        (f"source conf.sh\nLR=1\n{RUN}", "1"),
        (f"export LR=9; LR=1 bash -c '{RUN}'", "1"),
        (f"LR=9; LR=1 eval '{RUN}'", "1"),
        (f"LR=9; f() {{ declare -g LR=1; return; LR=9; }}; f; {RUN}", "1"),
        (f"LR=1; f() {{ LR=9; }}; unset -f f; f; {RUN}", "1"),
        (f"LR=9; command eval LR=1; {RUN}", "1"),
        (f'LR=9; N=LR; export "$N=1"; {RUN}', "1"),
        (f"LR=1\n{RUN}\nexit\n{RUN.replace('$LR', '2')}", "1"),
        ('train.py --warmup 1 --lr 1 "$@"', "1"),
        ("train.py --warmup 1 --lr 1 $@", "1"),
        (f"LR=1\nif [[ $X < 2 ]]; then {RUN}; else {RUN}; fi", "1"),
        (f"( cd x; LR=1; {RUN} ) > log 2> errors <in &", "1"),
        (f"LR=1\neval {RUN}", "1"),
        (f"LR=1\ncat <<-'E'\n --lr 3 'open\n\tE\n{RUN}", "1"),
        (f"LR=1\npip install --upgrade x; {RUN} | grep --color lr", "1"),
        (f"LR=1\nCMD='{RUN}'\nbash -lc \"$CMD\"", "1"),
        (f"LR=1\nprintf --lr; {RUN} --warmup \"it's\" $'a' \\\n --x", "1"),
        ("A=(--lr 1 --warmup 2)", "1"),
        (f"LR=1\ntrap -- 'rm -f x' EXIT; trap - INT; trap '' TERM; trap\n{RUN}", "1"),
        ("alias t='train.py --warmup 1' u=x\nt --lr 1", "1"),
        ("alias t='t --warmup 1'\nt --lr 1", "1"),
        ("alias t='train.py --lr 2'\nunalias -a\nt --warmup 1 --lr 1", "1"),
        (f"LR=9\nshopt -s lastpipe\ncat x | LR=1\n{RUN}", "1"),
        (f"LR=9\nshopt -s lastpipe\ncat x | {{ LR=1; cat; }}\n{RUN}", "1"),
        (f"LR=1\nshopt -s lastpipe; shopt -u lastpipe\ncat x | read LR\n{RUN}", "1"),
        (f"LR=1\nshopt -s lastpipe\nLR=9 | cat\n{RUN}", "1"),
        ("train.py --lr 1 --lr=2", "2"),
        ("train.py --lr 1 -m x --warmup 2", "1"),
    ],
)
def test_what_a_script_writes_is_filled_in(script: str, value: str) -> None:
    """What is assigned literally, on whatever way, is the value."""
    assert flags(script)["lr"] == value
    assert unknown(flags(script)["lr"]) is None


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("train.py --lr 1 $EXTRA_ARGS", "EXTRA_ARGS may hold flags"),
        ('train.py --lr 1 "${MORE_OPTS[@]}"', "MORE_OPTS may hold flags"),
        ("A=(--lr 1)\nB=(--lr 2)", "no flags"),
        ("never() { train.py --lr 1 --warmup 2; }", "no flags"),
        ("f() { f; }; f --lr 1", "scripts in scripts"),
        ('f() { train.py --lr 1 "${@:2}"; }; f x --lr 2', "may hold flags"),
        ("ARGS='--lr 1'\nsource conf.sh\ntrain.py $ARGS --warmup 1", "ARGS may hold flags"),
        ("train.py ) --lr 1", "has no ("),
        ("fi\ntrain.py --lr 1", "closes nothing"),
        ("train.py ( --lr 1 )", "a ( where"),
        ("lr: --lr 1", "keys of YAML"),
        ("[ $X ] && alias t='train.py --lr 1'\nt --warmup 1", "an alias under a condition"),
        ('alias t="$X"\nt --lr 1', "an alias t of what is not known"),
        ("[ $X ] && shopt -s lastpipe\ntrain.py --lr 1", "lastpipe under a condition"),
    ],
)
def test_what_cannot_be_read_is_refused(script: str, said: str) -> None:
    """Flags that may be hidden, and what is no script, are refused with a reason."""
    with pytest.raises(Invalid) as caught:
        document(script, name="train.sh")
    assert said in caught.value.errors[0].message


def test_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script's commands leave no trace, and the environment is not looked at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LR", "5")
    script = f"touch a; echo > b\nX=$(touch c)`touch d`<(touch e)\n{RUN}"
    assert "not set" in why(script)
    assert not any(tmp_path.iterdir())


def test_words_of_a_list_stay_as_they_are() -> None:
    """A list of words is a command line that no shell reads any more."""
    found: Any = document(["--lr", "$LR"])
    assert found == {"lr": "$LR"}
