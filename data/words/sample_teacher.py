"""Samples a model on the training problems and keeps the right answers as a teacher: how teachers/smollm2.jsonl was made.

python data/words/sample_teacher.py smollm2-135m smollm2 SAMPLES.jsonl     (stops and goes on; the samples file keeps every answer)
"""
import json, sys
from mot_nb.data.problems import is_correct, read_problems
from mot_nb.core.hashes import hash_tensors
from mot_nb.core.files import data_folder, write_atomic
from mot_nb.answers.sampling import sample_problems
from mot_nb.student.students import load_student
from mot_nb.data.words import INSTRUCTION

student, teacher, path = sys.argv[1:4]
words = data_folder()/'words'
problems = read_problems(words/'problems_train.jsonl')
model, tokenizer = load_student(student)
prompts = {p.id: p.question + INSTRUCTION for p in problems}
samples = sample_problems(model, tokenizer, prompts, path, hash_tensors(model.state_dict()), k=2, temperature=0.7, max_new_tokens=56, batch=64, seed=0)

rows = []
for p in problems: # the first sample that ends by itself and is right; a problem never solved is dropped
    right = [s for s in samples[p.id] if not s.truncated and is_correct(p.answer, s.text)]
    if right: rows.append(dict(problem_id=p.id, teacher=teacher, prompt=prompts[p.id], completion=right[0].text.strip(), reference=p.answer))
write_atomic(words/'teachers'/f'{teacher}.jsonl', ''.join(json.dumps(r, ensure_ascii=False) + '\n' for r in rows))
every = [s for p in problems for s in samples[p.id]]
solved = sum(is_correct(p.answer, s.text) for p in problems for s in samples[p.id])
print(f'{len(rows)} of {len(problems)} problems solved and ended; {solved} of {len(every)} samples right, {sum(s.truncated for s in every)} cut off')
