"Losses and answers that several processes share out: every row and every sample once, and none of another student."
import pytest

from mot_nb.answers.sampling import generate, samples_header
from mot_nb.core.errors import MotError
from mot_nb.core.files import read_lines
from mot_nb.data.corpora import Trace, pack, render
from mot_nb.scale.shares import join_samples, losses_of_share, sample_share, samples_there
from mot_nb.student.loss import row_losses
from mot_nb.student.models import byte_tokenizer, tiny_qwen3

tok = byte_tokenizer()
QUESTIONS = [f'What is {i} plus {j}?' for i in range(3) for j in range(3)]
HOW = dict(max_new_tokens=4, system=None, temperature=1., top_p=1., top_k=0, seed=0)


@pytest.mark.parametrize('ranks', [1, 2, 3])
def test_every_row_is_measured_once(ranks):
    "Packs of several rows, dealt out to the ranks and put together again: the losses of one process, in order."
    traces = [Trace(q, 't', q, 'Answer: 5'*(1 + i % 3), '') for i, q in enumerate(QUESTIONS)]
    model, rows = tiny_qwen3(len(tok)), [render(t, tok) for t in traces]
    room = 2*max(map(len, rows))
    sizes = [len(p.rows) for p in pack(rows, room)]
    assert len(sizes) > 3 and max(sizes) > 1
    parts = [losses_of_share(model, rows, room, i, ranks) for i in range(ranks)]
    found = [pair for _, pairs in sorted(x for part in parts for x in part) for pair in pairs]
    wanted = row_losses(model, rows, room)
    assert [n for _, n in found] == [n for _, n in wanted]
    assert [s for s, _ in found] == pytest.approx([s for s, _ in wanted], rel=1e-5)


def test_every_sample_is_drawn_once_and_of_this_student(tmp_path):
    "Two ranks write different samples, together those of one process; a part of other weights is refused."
    model, file = tiny_qwen3(len(tok)), tmp_path/'mot-r1.jsonl'
    prompts = {f'p{i}': q for i, q in enumerate(QUESTIONS)}
    asked, head = {p: f'hash of {p}' for p in prompts}, samples_header('weights', tok, **HOW)
    for i in (0, 1): sample_share(model, tok, prompts, file, [], 'weights', asked, i, 2, k=2, batch=3, **HOW)
    written = [{(r['problem_id'], r['sample']) for r in read_lines(f)[1:]} for f in sorted(tmp_path.glob('*.part-*'))]
    assert len(written) == 2 and not written[0] & written[1] and len(written[0] | written[1]) == 2*len(prompts)
    with pytest.raises(MotError, match='another model'): samples_there(file, samples_header('other', tok, **HOW), asked)
    joined = join_samples(file, head, asked, 2)
    one = generate(model, tok, list(prompts.values()), k=2, batch=3, names=list(prompts), **HOW)
    assert [[s.text for s in by] for by in joined.values()] == [[s.text for s in by] for by in one]
