"""Which sums the base student can compute: writes arithmetic.json beside this file. python data/words/probe_arithmetic.py"""
import json, random
import torch
from mot_nb.core.files import data_folder, write_atomic
from mot_nb.student.students import load_student

model, tokenizer = load_student('smollm2-135m')
value = {'+': lambda a, b: a + b, '-': lambda a, b: a - b, '*': lambda a, b: a * b, '/': lambda a, b: a // b}
worked = 'Start: 4 * 5 = 20.\nLeft: 13 - 4 = 9.\nGot: 12 / 3 = 4.\nAll: 3 + 6 = 9.\n'
probes, rng = {}, random.Random(0)
for name, op, first, result in (('sums to 10', '+', (2, 20), (2, 10)), ('sums 11 to 20', '+', (2, 20), (11, 20)), ('differences within 10', '-', (2, 10), (2, 10)), ('differences, first from 11 to 20', '-', (11, 20), (2, 20)),
                                ('products to 20', '*', (2, 20), (2, 20)), ('quotients, first to 20', '/', (4, 20), (2, 20))):
    every = [(a, b) for a in range(first[0], first[1] + 1) for b in range(2, 11) if result[0] <= value[op](a, b) <= result[1] and (op != '/' or a % b == 0)]
    chosen, wrong = rng.sample(every, 16), []
    for a, b in chosen:
        ids = tokenizer(worked + f'Now: {a} {op} {b} =', return_tensors='pt')
        with torch.no_grad(): out = model.generate(**ids, max_new_tokens=4, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        said = tokenizer.decode(out[0, ids['input_ids'].shape[1]:]).split('.')[0].strip()
        if said != str(value[op](a, b)): wrong.append(f'{a} {op} {b} = {said[:12]}')
    probes[name] = dict(right=len(chosen) - len(wrong), n=len(chosen), wrong=wrong)
    print(name, probes[name], flush=True)
write_atomic(data_folder()/'words'/'arithmetic.json', json.dumps(dict(student='smollm2-135m', seed=0, before=worked, probes=probes), indent=1) + '\n')
