"""The small faults that mutants.py puts into the library: area, name, module, old text, new text, who should notice.

The old text stands exactly once in the module and in the exported cells of its notebook (tests/test_mutants.py looks).
Tests are named as 'test_loss.py::test_a_batch', notebooks as 'student/04_loss'. A mutant that is let live has the
reason beside it.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    "One fault."
    area: str       # what it belongs to, for the score
    name: str       # of the fault, in words
    module: str     # 'student.loss'
    old: str        # exact text
    new: str        # what stands there instead
    tests: tuple    # who should notice, the quickest first
    reason: str = '' # why it may live, where it does

    def __str__(self): return f'{self.area}, {self.name}'


MUTANTS = []


def area(name, module, tests, *entries): # tests: of all entries that name no others
    "Adds mutants of one area and module; an entry is (name, old, new[, tests[, reason]])."
    for what, old, new, *more in entries:
        of, reason = (*more, '', '')[:2] if len(more) < 2 else more
        MUTANTS.append(Mutant(name, what, module, old, new, tuple((of or tests).split()), reason))


# -- training ----------------------------------------------------------------------------------------------------------

area('loss', 'student.loss', 'student/04_loss',
     ('a position early', 'logits_to_keep=at.to(device)', 'logits_to_keep=(at - 1).clamp(min=0).to(device)'),
     ('sees the next token', 'triu_(m - n + 1)', 'triu_(m - n + 2)'),
     ('documents see each other', 'lengths = lengths or [query.shape[2]]', 'lengths = [query.shape[2]]'),
     ("the layer's scale is not asked", 'query.shape[-1] ** -0.5 if scaling is None else scaling',
      'query.shape[-1] ** -0.5', 'test_loss.py::test_a_loss_is_that_of_transformers'),
     ('keys of grouped heads in another order', 't.repeat_interleave(heads // kinds, 1)',
      't.repeat(1, heads // kinds, 1, 1)'),
     ('a mean of means of packs', 'sum(l.sum().double() for l in losses) / sum(len(l) for l in losses)',
      'sum(l.mean().double() for l in losses) / len(losses)'),
     ('shares supervised tokens', '(doc[:n] != docs[0][:n]) | (goal[:n] >= 0)', '(doc[:n] != docs[0][:n])'),
     ('shares a token too few', 'kept = positions >= shared', 'kept = positions > shared'),
     ('documents after the first miss the shared start', 'torch.cat([k0, k], 2), torch.cat([v0, v], 2)', 'k, v'),
     ('chunks lose the weight of a token', 'mul_(grad[i:i+ctx.rows, None])', 'mul_(grad.mean())'),
     ("chunks lose the bias's gradient", 'of_bias += g.sum(0)', 'of_bias += 0*g.sum(0)',
      'test_loss.py::test_a_head_with_a_bias_in_chunks'),
     ('a leak passes the check at the start', 'if apart <= (1e-3', 'if apart <= (1e9',
      'test_loss.py::test_a_leak_is_found_at_the_start'),
     ('the window is not looked at', 'if window and longest > window:', 'if window and longest > 9*window:',
      'test_loss.py::test_a_row_longer_than_the_window_is_refused'),
     ('the limit of positions is not looked at', 'if limit and longest > limit:', 'if limit and longest > 9*limit:',
      'test_loss.py::test_positions_that_look_at_the_longest_row_are_refused'),
     ('layers that did not ask are let pass', 'if len(times) >= wanted and len(set(times.values())) == 1: return',
      'if times: return', 'test_loss.py::test_a_layer_that_swallows_the_lengths_is_found_later_too'))

area('packs and masks', 'data.corpora', 'student/04_loss data/03_corpora',
     ('a token predicts itself', '(-100,) * (r.n_prompt - 1) + r.targets + (-100,)',
      '(-100,) * r.n_prompt + r.targets'),
     ('the prompt is learnt', '(-100,) * (r.n_prompt - 1) + r.targets + (-100,)',
      'r.input_ids[1:] + (-100,)'),
     ('the end of turn is not learnt', '(-100,) * (r.n_prompt - 1) + r.targets + (-100,)',
      '(-100,) * (r.n_prompt - 1) + r.targets[:-1] + (-100, -100)'),
     ('positions run on', '[p for r in group for p in range(len(r))]', 'list(range(sum(map(len, group))))',
      'test_loss.py::test_a_loss_does_not_depend_on_the_neighbours[GPT2]'),
     ('rows in another order', 'groups[-1].append(row)', 'groups[-1].insert(0, row)',
      'test_loss.py::test_a_loss_does_not_depend_on_the_neighbours[Llama]'),
     ('a pack holds more than it may', 'room -= len(row)', 'room -= 1'))

area('packs and masks', 'student.branch', 'test_branch.py::test_no_dropout_while_training',
     ('a step counts prompt tokens', 'sum(int((p.targets >= 0).sum()) for p in packs)',
      'sum(len(p.targets) for p in packs)'))

area('row order', 'student.branch', 'student/06_branch',
     ('the same rows twice', 'out, start = [], step * batch', 'out, start = [], step'),
     ('every epoch alike', "derive_seed(seed, 'epoch', epoch)", "derive_seed(seed, 'epoch', 0)",
      'test_branch.py::test_every_epoch_has_an_order_of_its_own'),
     ('an epoch ends inside a step unseen', 'if not out or j == 0:', 'if not out:'),
     ('the order has no seed', "derive_seed(seed, 'epoch', epoch)", "derive_seed(0, 'epoch', epoch)",
      'test_branch.py::test_every_epoch_has_an_order_of_its_own'))

area('row order', 'methods.maker', 'test_methods.py::test_one_more_teacher_each_round',
     ('teachers share an order', "derive_seed(lab.seed, 'order', path.name)", "derive_seed(lab.seed, 'order')"),
     ('seeds share an order', "derive_seed(lab.seed, 'order', path.name)", "derive_seed(0, 'order', path.name)",
      'test_methods.py::test_methods_by_hand'),
     ('a round begins with the first rows again', 'step=path.start.step, on_step', 'step=0, on_step'),
     ('the union learns from one', 'for t in path.teachers for r in', 'for t in path.teachers[:1] for r in',
      'test_methods.py::test_methods_by_hand'))

area('row order', 'methods.parts', 'test_methods.py::test_who_is_introduced_and_which_rows_are_met',
     ('a curriculum of long rows', 'sorted(rows, key=len)[', 'sorted(rows, key=len, reverse=True)['),
     ('a curriculum that never ends', '0.25 + 1.5 * step', '0.25 + 0.5 * step'))

area('optimiser', 'student.branch', 'student/06_branch',
     ('decay on norms', "if p.ndim <= 1], 'weight_decay': 0.0}",
      "if p.ndim <= 1], 'weight_decay': train.weight_decay}"),
     ('no decay', "if p.ndim > 1], 'weight_decay': train.weight_decay}", "if p.ndim > 1], 'weight_decay': 0.0}"),
     ("the betas are torch's", 'betas=train.betas', 'betas=(.9, .999)'),
     ("epsilon is torch's", 'eps=train.eps', 'eps=1e-8'),
     ('no clipping', 'most or math.inf', 'math.inf'),
     ('gradients pile up', 'b.optimiser.zero_grad(set_to_none=True)', 'pass'),
     ('a mean of means of packs', '(losses.sum() / n if p is not None', '(losses.mean() if p is not None'),
     ('dropout stays', 'self.model.eval()                                   # no', 'self.model.train()  # no',
      'test_branch.py::test_no_dropout_while_training'))

area('optimiser', 'student.weights', 'test_branch.py::test_narrow_weights_follow_their_masters',
     ('dropout stays where activations are recomputed', 'm.p = 0.0', 'm.p = m.p',
      'test_branch.py::test_no_dropout_while_training'),
     ('the narrow copy is not told', 'w.copy_(self.masters[name])', 'w.copy_(w)'),
     ('several packs count as none in a narrow type', 'else m.grad.add_(', 'else 0*m.grad.add_('))

area('learning rate', 'student.branch', 'student/06_branch',
     ('a step late in warm-up', 'train.lr * (step + 1) / (warm + 1)', 'train.lr * step / (warm + 1)'),
     ('a step early', 'learning_rate(b.step, b.total, t)', 'learning_rate(b.step + 1, b.total, t)'),
     ('a step late', 'learning_rate(b.step, b.total, t)', 'learning_rate(max(0, b.step - 1), b.total, t)'),
     ('begins anew every round', 'learning_rate(b.step, b.total, t)', 'learning_rate(b.count, b.total, t)'),
     ('half a linear decay', "'linear': 1 - left", "'linear': 1 - left/2",
      'test_branch.py::test_a_schedule_is_that_of_torch'),
     ('half a cosine', 'math.cos(math.pi * left)', 'math.cos(math.pi * left / 2)'),
     ('warm-up counts as decay', 'left = (step - warm) / max(1, total - warm)', 'left = step / max(1, total)'))

area('learning rate', 'methods.lab', 'test_methods.py::test_methods_by_hand',
     ('the schedule of one round', 'total or self.rounds * self.steps', 'total or self.steps'))

# -- methods and merges ------------------------------------------------------------------------------------------------

area('methods', 'methods.methods', 'test_methods.py::test_methods_by_hand',
     ('MTD on two of three teachers', 'lab.train(lab.base, lab.teachers, until=',
      'lab.train(lab.base, lab.teachers[:2], until='),
     ('MTD without its schedule', 'total=total, rows=rows, lr=lr)', 'rows=rows, lr=lr)'),
     ('MTD at the end in every round', 'until = max(1, round(total * t / lab.rounds))', 'until = total'),
     ('MTD without its own rate', 'rows=rows, lr=lr)', 'rows=rows)',
      'test_rates.py::test_a_method_has_the_rate_it_is_given'),
     ('equal compute is equal depth', "'compute': T * E * K", "'compute': T * E",
      'methods/03_methods test_methods.py::test_methods_by_hand'),
     ('one-shot of two teachers', 'lab.train(lab.base, teacher, until=steps, rows=rows) for teacher in lab.teachers]',
      'lab.train(lab.base, teacher, until=steps, rows=rows) for teacher in lab.teachers[:2]]'),
     ('one-shot after one round', 'steps = lab.rounds * lab.steps', 'steps = lab.steps'),
     ('STD begins anew', 'student = lab.train(student, teacher, rows=rows)',
      'student = lab.train(lab.base, teacher, rows=rows)'),
     ('MoT begins anew', '[lab.train(student, teacher, rows=rows) for', '[lab.train(lab.base, teacher, rows=rows) for'),
     ('updates taken from the base', 'lab.merge(branches, student, merge)', 'lab.merge(branches, lab.base, merge)',
      'test_methods.py::test_operators_inside_rounds[ties]'))

area('methods', 'methods.parts', 'test_methods.py::test_who_is_introduced_and_which_rows_are_met',
     ('two teachers more', 'teachers[:t + 1]', 'teachers[:t + 2]'))

area('methods', 'methods.maker', 'test_methods.py::test_kept_moments_make_one_teacher_s_rounds_one_training',
     ('moments are not kept', "if maker.lab.settings.train.optimiser_state != 'kept': return None", 'return None'))

area('merges', 'student.merge', 'student/08_merge',
     ('weights are not looked at', 'even = all(w == alive[0] for w in alive)', 'even = True'),
     ('a weight of 0 counts', 'alive = [w for w in weights if w]', 'alive = list(weights)',
      'test_merge.py::test_a_branch_of_weight_0_leaves_no_trace'),
     ('summed in float32', 'torch.empty(most, dtype=torch.float64, device=device)',
      'torch.empty(most, dtype=torch.float32, device=device)'),
     ('the order of branches shows', 'return [by[key] for key in sorted(by)]', 'return list(by.values())'),
     ('equal branches are not one', 'setdefault((str(t.dtype), t.cpu().view(torch.uint8).numpy().tobytes()), [])',
      'setdefault((str(t.dtype), i), [])'),
     ('NaN is merged', 'if not _finite(piece):', 'if not len(piece):'),
     ('NaN of weight 0 is let pass', 'for i in idle:', 'for i in ():'),
     ('another key set is let pass', 'return lacks + more + [', 'return lacks + [',
      'test_merge.py::test_branches_that_differ_in_one_thing_are_refused'),
     ('a missing key is let pass', 'return lacks + more + [', 'return more + [',
      'test_merge.py::test_branches_that_differ_in_one_thing_are_refused'),
     ('another shape is let pass', 'if lay[t] != first[t]]', 'if lay[t][1] != first[t][1]]',
      'test_merge.py::test_branches_that_differ_in_one_thing_are_refused'),
     ('loose ties are let pass', 'if loose: raise MotError(', 'if loose and not loose: raise MotError('),
     ('ties come undone', 'if key in seen: ties[name] = seen[key]', 'if key in ties: ties[name] = seen[key]'),
     ('unlike buffers are let pass', 'if not torch.equal(t.to(ts[0].device), ts[0]) or t.dtype', 'if t.dtype',
      'test_merge.py::test_branches_that_differ_in_one_thing_are_refused'),
     ('weights that sum to 0.9', '- 1) > 1e-6: raise', '- 1) > .2: raise'),
     ('negative weights', 'math.isfinite(v) and v >= 0)', 'math.isfinite(v))'),
     ('weights by name in their own order', 'return [weights[n] for n in names]', 'return list(weights.values())',
      'test_merge.py::test_weights_by_name_find_their_branch'))

area('merges', 'student.merge_folders', 'test_merge.py::test_memory_and_files_give_the_same_bits',
     ('files are merged without weights', 'merge_tensor(reads, n, m.weights, kind',
      'merge_tensor(reads, n, [1/len(reads)]*len(reads), kind'),
     ('unlike buffers of files are let pass', 'if not torch.equal(p, parts[0]): raise', 'if p is None: raise',
      'test_merge.py::test_branches_that_differ_in_one_thing_are_refused'))

area('merges', 'methods.lab', 'test_runs.py::test_weights_follow_the_order_of_the_settings',
     ("weights in the pool's order", 'given = dict(zip(asked, given))', 'given = list(given)'),
     ('weights are not handed on', 'if None in own or len(set(own)) == 1:', 'if own:'))

area('operators', 'student.operators', 'student/09_operators',
     ('task arithmetic is the sum', 'key: d.sum(0)*(1/len(d) if scale is None', 'key: d.sum(0)*(1 if scale is None'),
     ('TIES elects by count', 'd.sum(0).sign()', 'd.sign().sum(0).sign()'),
     ('TIES averages over all', 'agrees.sum(0).clamp_min(1)', 'len(d)'),
     ('TIES trims nothing', 'd = _trimmed(d, density)', 'd = _trimmed(d, 1.)'),
     ('TIES keeps the smallest', 'd.abs() >= d.abs().kthvalue(d.shape[1] - keep + 1',
      'd.abs() <= d.abs().kthvalue(keep'),
     ('TIES without its scale', 'return scale*(d*agrees)', 'return (d*agrees)',
      'test_merge.py::test_a_scale_is_a_factor_of_the_merged_update'),
     ('DARE does not rescale', '.to(d.device)/(1 - drop)', '.to(d.device)'),
     ('DARE drops alike in every branch', 'drop, seed, name, key)', 'drop, seed, key)',
      'test_merge.py::test_dare_drops_apart_in_every_branch_tensor_and_seed'),
     ('DARE drops alike in every tensor', 'drop, seed, name, key)', 'drop, seed, name)',
      'test_merge.py::test_dare_drops_apart_in_every_branch_tensor_and_seed'),
     ('DARE has no seed', 'drop, seed, name, key)', 'drop, name, key)'),
     ('DARE keeps what it should drop', 'dtype=torch.float64) >= drop', 'dtype=torch.float64) < drop'),
     ('DARE is the sum', 'return d.sum(0)*(1/len(d) if scale is None', 'return d.sum(0)*(1 if scale is None'),
     ('a tensor that the base lacks is let pass', 'if extra: raise', 'if not extra and extra: raise'))

area('outer step', 'methods.parts', 'methods/01_parts test_methods.py::test_outer_nesterov_equals_torch',
     ('away from the merge', 'd = before - merged', 'd = merged - before'),
     ('momentum without a look ahead', '(d + self.momentum * buffer if self.nesterov', '(buffer if self.nesterov'),
     ('always a look ahead', 'if self.nesterov else buffer), buffer', 'if buffer is not None else buffer), buffer'),
     ('dampened momentum', 'self.momentum * buffer + d', 'self.momentum * buffer + (1 - self.momentum) * d'),
     ('the first buffer is empty', 'buffer = d.clone() if buffer is None', 'buffer = 0*d if buffer is None'),
     ('a rate of 1 is no step', 'what.lr == 1 and not what.momentum', 'what.lr == 1',
      'test_methods.py::test_an_outer_rate_of_one_with_momentum_is_a_step'))

area('outer step', 'methods.maker', 'test_methods.py::test_outer_nesterov_equals_torch',
     ('momentum is forgotten', 'memory = _momentum(maker, student.before, student.by) or {}', 'memory = {}'))

area('LoRA', 'student.lora', 'student/12_lora',
     ('rank-stabilised as plain', "alpha/math.sqrt(r) if config.get('use_rslora') else alpha/r", 'alpha/r',
      'test_merge.py::test_the_scale_of_an_adapter_is_peft_s'),
     ('patterns of alpha are not read', "own('alpha_pattern', config['lora_alpha'])", "config['lora_alpha']",
      'test_merge.py::test_the_scale_of_an_adapter_is_peft_s'),
     ('the scale is left out', "{'': s*(B @ A)}", "{'': B @ A}"),
     ('stacked without weights', 'weights[i]*factors[i][2]*factors[i][1]', 'factors[i][2]*factors[i][1]/len(order)'),
     ('written with the old alpha', "'r': r, 'lora_alpha': r,", "'r': r, 'lora_alpha': config['lora_alpha'],"),
     ('the update is taken away', 'state[name].double() + d.to(', 'state[name].double() - d.to('),
     ('a start of another scale', '(S[:rank] / scale).sqrt()', 'S[:rank].sqrt()'),
     ('adapters that change the frozen weights', 'not in _PLAIN_STARTS:', 'is _PLAIN_STARTS:'))

area('LoRA', 'student.weights', 'test_branch.py::test_lora_weights_are_those_that_peft_merges',
     ('the scale is alpha', 'train.lora_alpha / train.lora_rank', 'train.lora_alpha'),
     ('a start is counted twice', 'frozen.double() - body.scale *', 'frozen.double() - 0 * body.scale *',
      'student/06_branch'),
     ('every round draws the same adapters', "derive_seed(seed, 'lora', step)", "derive_seed(seed, 'lora')",
      'test_branch.py::test_adapters_are_drawn_anew_in_every_round'))

area('LoRA', 'methods.maker', 'test_methods.py::test_residual_adapters_leave_the_frozen_weights_as_they_were',
     ('what was not in the frozen weights is lost', 'if before: update += scale',
      'if not before and before: update += scale'))

# -- answers and scores ------------------------------------------------------------------------------------------------

area('sampling', 'answers.sampling', 'answers/00_sampling',
     ('noise by position, not by problem', "derive_seed('sample', seed, names[p], s)",
      "derive_seed('sample', seed, p, s)"),
     ('all samples alike', "derive_seed('sample', seed, names[p], s)", "derive_seed('sample', seed, names[p], 0)"),
     ('the seed is not used', "derive_seed('sample', seed, names[p], s)", "derive_seed('sample', 0, names[p], s)"),
     ('the same noise at every step', '(s + (step + 1) * 0x9E3779B97F4A7C15)', '(s + 0x9E3779B97F4A7C15)',
      'test_sampling.py::test_every_position_has_noise_of_its_own'),
     ("the template's end of turn is no stop", 'ids = {tokenizer.eos_token_id, end_of_turn(tokenizer)}',
      'ids = {tokenizer.eos_token_id}', 'test_sampling.py::test_the_template_s_end_of_turn_ends_an_answer'),
     ("the generation config's stops are not read", 'ids |= set(more if', 'ids | set(more if'),
     ('nothing is truncated', 'text, len(ids), not ended)', 'text, len(ids), False)'),
     ('the stop token is not counted', 'text, len(ids), not ended)', 'text, len(ids) - ended, not ended)'),
     ('temperature upside down', 'z = z / temperature', 'z = z * temperature',
      'test_sampling.py::test_draws_follow_temperature'),
     ('the nucleus is a token short', 'masked_fill(before >= top_p', 'masked_fill(before + p > top_p'),
     ('top-k has one more', 'm = min(V, top_k) if top_k', 'm = min(V, top_k + 1) if top_k'),
     ('padding is seen', '[[1] * n + [0] * (L - len(p)) + [1] * (len(p) - n)',
      '[[1] * n + [1] * (L - len(p)) + [1] * (len(p) - n)'),
     ('positions count padding', '(mask.cumsum(1) - 1).clamp(min=0)[:, n:]',
      '(mask.cumsum(1)*0 + torch.arange(mask.shape[1], device=device))[:, n:]'),
     ('an answer goes on behind its end', 'if answers[i] and answers[i][-1] in stop: continue',
      'if answers[i] is None: continue'),
     ('a prompt is all prefix', 'return min(n, min(map(len, prompts)) - 1)', 'return n'),
     ('answers need no room', 'len(x) + max_new_tokens <= room', 'len(x) <= room'),
     ('a file takes samples of another seed', 'top_p=float(top_p), top_k=int(top_k), seed=int(seed))',
      'top_p=float(top_p), top_k=int(top_k))', 'test_sampling.py::test_a_file_is_of_one_seed_and_one_prompt'),
     ('a file takes another prompt', 'if p in before and before[p] != h:', 'if p in before and before[p] == p:',
      'test_sampling.py::test_a_file_is_of_one_seed_and_one_prompt'),
     ('rows without a token are said', 'if never: logits[:, never] = -math.inf', 'if never: pass',
      'test_sampling.py::test_rows_without_a_token_are_never_said'))

area('grading', 'data.problems', 'test_problems.py',
     ('a thought is read', 'clean_text(after_thought(without_end(str(text))))', 'clean_text(without_end(str(text)))',
      'test_corpora.py::test_a_truncated_thought_is_no_answer'),
     ('numbers are equal to a thousandth', 'return g.value == a.value', 'return abs(g.value - a.value) < .001'),
     ('any unit will do', '(g.unit and a.unit and g.unit != a.unit)', 'g.unit is a.text'),
     ('a number that is denied counts', 'return None if _DENIED.search(', 'return None if not _DENIED.search('),
     ('a guess counts', 'if len(numbers) != 1 or _HEDGE.search(clause): return None',
      'if len(numbers) != 1: return None'),
     ('the last number first', '(lambda t: _fit(_boxed(t)), _hashed, _marked, _last_number)',
      '(_last_number, lambda t: _fit(_boxed(t)), _hashed, _marked)'),
     ('the first box', "max(text.rfind('\\\\boxed', 0, end)", "max(text.find('\\\\boxed', 0, end)",
      'test_problems.py data/01_problems'),
     ('the sign of a number is lost', "return -v if m[1] == '-' and v is not None else v", 'return v'),
     ('a set in one order only', "depth + 1, kind in ('set', 'union'))", "depth + 1, kind == 'union')"),
     ('open and closed intervals are alike', 'if kind != other or len(xs)', 'if len(kind) != len(other) or len(xs)'),
     ('a part may be used twice', 'del left[hit]', 'left[hit]',
      'test_problems.py::test_every_part_of_a_set_is_used_once'),
     ('2k is 2', "if re.search(re.escape(n) + '[a-zA-Z]', clause): return None", 'n = n'))

area('grading', 'answers.scores', 'test_scores.py::test_scores_of_several_samples',
     ('one mark for one text', 'key = (answer, hashlib', "key = ('', hashlib",
      'test_scores.py::test_one_text_is_marked_for_every_answer'),
     ('avg@k is any of k', 'sum(map(bool, m))/k', 'float(any(m))'),
     ('nothing is truncated', 'sum(truncated)/len(truncated)', '0*sum(truncated)/len(truncated)'),
     ('pass@k with replacement', '1 - math.comb(m - c, k)/math.comb(m, k)', '1 - (1 - c/m)**k'))

area('intervals', 'core.intervals', 'core/07_intervals',
     ('the spread of a population', 'max(float(x.std(ddof=1)), least)', 'max(float(x.std()), least)'),
     ('a degree of freedom more', 't_quantile(.5 + level/2, len(x) - 1)', 't_quantile(.5 + level/2, len(x))'),
     ('no least spread', 'max(float(x.std(ddof=1)), least)', 'float(x.std(ddof=1))',
      'test_claims.py::test_seeds_that_agree_to_the_last_problem_have_a_width'),
     ('a ratio of means of ratios', '(sums - value*counts)/counts.mean()', 'sums/counts - value',
      'test_scores.py::test_a_ratio_s_interval_weighs_a_trace_by_its_length'),
     ("a ratio's spread, not its error", 'terms.std(ddof=1)/n**.5', 'terms.std(ddof=1)'),
     ('the wider part alone', 'math.hypot(*known)', 'max(known)'),
     ("Wald's interval", 'mean*(1 - mean)/n + quantile**2/4/n**2', 'mean*(1 - mean)/n'))

area('intervals', 'answers.score_intervals', 'answers/05_score_intervals',
     ('samples as if problems', 'wilson(m, np.maximum(_ratio(n*m*(1 - m), s2, n), 1e-9), q)', 'wilson(m, n*k, q)'),
     ('no pseudo-problems', '((d**2).sum(-1) + 1/k)/(n + 2)', '((d**2).sum(-1) + 0/k)/(n + 2)'),
     ('samples of a population', '/(k - 1)/n**2', '/k/n**2'))

area('intervals', 'answers.differences', 'answers/07_differences',
     ('p without the outcome itself', 'dist[np.abs(sums) >= seen]', 'dist[np.abs(sums) > seen]'),
     ('a gap found half the time', 'n - 1) + NormalDist().inv_cdf(power))', 'n - 1))'),
     ('a difference of other problems', 'if set(a) == set(b): return', 'if a and b: return'))

area('intervals', 'analysis.best_teacher',
     'analysis/00_best_teacher test_scores.py::test_seeds_that_disagree_widen_the_interval',
     ('seeds are not counted', 'v = max(v_problem + s2/S - v_rest, .5*v_problem)', 'v = v_problem',
      'test_scores.py::test_seeds_that_disagree_widen_the_interval'),
     ('one of two students varies', 'return 2*s2, df', 'return s2, df'),
     ('every pair by itself', 'return 1 - .05/max(1, K*(K - 1)//2)', 'return .95'))

area('intervals', 'answers.over_seeds', 'answers/08_over_seeds',
     ('over seeds alone', 'return m, min(lo, float(np.mean([r[', 'return m, max(lo, float(np.mean([r['),
     ('the best round is the first', "best = max(rows, key=lambda r: (sign*r['value'], -r['round']))",
      "best = min(rows, key=lambda r: r['round'])"))

# -- claims ------------------------------------------------------------------------------------------------------------

area('claims', 'analysis.claims', 'test_claims.py',
     ('claim 3 turned', "[gap(rows, 'mot', f'std:{t}', at=at", "[gap(rows, f'std:{t}', 'mot', at=at"),
     ('claim 3, one teacher at the level of the claim', 'gaps(level_of(parts*len(teachers)))', 'gaps(level_of(parts))',
      'test_claims.py::test_one_of_many_teachers_contradicts_at_its_share_only'),
     ('claim 4 turned', "gap(rows, 'mot', f'mtd:{budget}', scores", "gap(rows, f'mtd:{budget}', 'mot', scores"),
     ('claim 4 looks at one budget', "(('depth', 'compute') if n == 4", "(('depth', 'depth') if n == 4",
      'test_claims.py::test_one_budget_does_not_speak_for_the_other'),
     ('claim 6, ceiling of the last round', "_above_each(rows, scores, 'best', 2)",
      "_above_each(rows, scores, 'last', 2)", 'test_claims.py::test_the_ceiling_is_the_best_round'),
     ('a loss has the margin of an accuracy', "(EQUAL_WITHIN if g.metric == 'accuracy' else 0.)", 'EQUAL_WITHIN',
      'test_claims.py::test_a_loss_has_no_margin'),
     ('claim 6, fall turned', "verdict(fall, 'below')", 'verdict(fall)'),
     ('claim 7 turned', "return verdict(g, 'below'), (g,)", 'return verdict(g), (g,)'),
     ('claim 8 turned', 'mot(full) + [rename(r) for r in mot(without)]',
      'mot(without) + [rename(r) for r in mot(full)]'),
     ('claim 8 of unlike bases', 'if full == without: return', 'if full is full: return',
      'analysis/01_claims test_claims.py'),
     ('claim 8 of unlike rounds', 'if not unlike: return', 'if unlike is unlike: return',
      'analysis/01_claims test_claims.py'),
     ('claim 16 turned', "_above(rows, 'mot', 'oneshot', scores)", "_above(rows, 'oneshot', 'mot', scores)"),
     ('accuracies that may be luck are judged', 'max(right) <= 2 + 1e-9', 'max(right) <= 1 + 1e-9',
      'analysis/01_claims test_claims.py'),
     ('the interval is half as wide', 'return value - half, value + half, f',
      'return value - half/2, value + half/2, f', 'analysis/01_claims test_claims.py'),
     ('more loss is better', "return 1 if metric == 'accuracy' else -1", 'return 1'),
     ('the best teacher of the last round for the fall', "best_std(rows, at='best'), at='drop'",
      "best_std(rows), at='drop'", 'test_claims.py::test_the_fall_is_that_of_the_best_ceiling'),
     ('Newcombe with ends exchanged', 'return d - math.hypot(*below), d + math.hypot(*above)',
      'return d - math.hypot(*above), d + math.hypot(*below)',
      'test_claims.py::test_one_seed_without_answers_has_newcombe_s_interval'))

area('claims', 'analysis.best_judged', 'test_claims.py::test_claims_1_and_2_follow_who_is_best',
     ('claims 1 and 2 changed places', 'same = 1 if number == 1 else 0', 'same = 0 if number == 1 else 1'),
     ('claim 1 where teachers may be equal', 'apart = [(a, b) for a, b in judged if not may[a] & may[b]]',
      'apart = [(a, b) for a, b in judged if may[a] != may[b]]', 'analysis/06_best_judged'))

area('claims', 'core.verdicts', 'test_claims.py',
     ('a contradicted part is overlooked', "order = ('cannot be seen here', 'contradicted', 'fewer",
      "order = ('cannot be seen here', 'fewer"),
     ('one seed decides', 'if seeds < LEAST_SEEDS:', 'if seeds < 1:'),
     ('two seeds decide', 'LEAST_SEEDS = 3 ', 'LEAST_SEEDS = 2 '),
     ('uncounted problems decide', "if not counted: return 'problems not counted'",
      "if counted is None: return 'problems not counted'"),
     ('an interval that touches zero decides', 'if not (equal or lo > 0 or hi < 0)',
      'if not (equal or lo >= 0 or hi < 0)'),
     ('equal where the value is near', 'equal = -margin < lo and hi < margin', 'equal = abs(lo + hi)/2 < margin'),
     ('one teacher supports', "if set(found) == {'supported'} else", "if 'supported' in found else",
      'core/14_verdicts'),
     ('equal though below another', 'level = all(lo is not None', 'level = any(lo is not None', 'core/14_verdicts'),
     ('parts do not share', 'return 1 - .05/parts', 'return 1 - .05', 'core/14_verdicts'),
     ('an end rounds to zero', 'return text if float(text) or not value else', 'return text if text else',
      'core/14_verdicts'))

area('claims', 'analysis.claims_ledger', 'test_ledger.py',
     ('the ledger leads elsewhere', "f'{folder}{e.page}.ipynb{ANCHOR}'", "f'{folder}{e.page}{ANCHOR}'"),
     ('the last study makes the row', '_full_line(e, folder) for e in first]',
      '_full_line(e, folder) for e in (found[-1] for found in entries.values())]'),
     ('a claim without a study is left out', 'if k[0] == n] or [(n, \'\')]', 'if k[0] == n]'),
     ('sharper is flatter', 'up = pairs[0][\'n\'], lambda ends: (-ends[1], -ends[0])',
      'up = pairs[0][\'n\'], lambda ends: ends', 'analysis/49_claims_ledger test_ledger.py'))

area('claims', 'analysis.confidence_record', 'test_claims.py::test_claim_13_follows_its_signs',
     ('claim 13 turned', 'None if lo is None else hi - at, seeds=seeds)',
      "None if lo is None else hi - at, 'below', seeds=seeds)"),
     ('claim 13, drops without their half', 'zip(parts, (.5, .5, 0.))', 'zip(parts, (0., 0., 0.))'),
     ('claim 13 without shared reasoning', 'return verdict_on_all(*sides), parts',
      'return verdict_on_all(*sides[:2]), parts'),
     ('claim 13 not at equal confidence', 'for a in matched if a.student == name)', 'for a in (mot,))'),
     ('claim 13 from one seed', 'hi - at, seeds=seeds)', 'hi - at)'))

area('claims', 'analysis.landscape_record', 'test_claims.py::test_claim_14_follows_its_sign',
     ('claim 14 turned', "'flatter' if pair['hi'] < 0 else 'sharper' if pair['lo'] > 0",
      "'sharper' if pair['hi'] < 0 else 'flatter' if pair['lo'] > 0"),
     ('claim 14 by the lower end', "'flatter' if pair['hi'] < 0 else", "'flatter' if pair['lo'] < 0 else"))

area('claims', 'analysis.landscape_runs', 'test_claims.py::test_claim_14_follows_its_sign',
     ('claim 14, the others minus MoT', 'sharper(found[s, m.last, radius], found[s, label, radius])',
      'sharper(found[s, label, radius], found[s, m.last, radius])'),
     ('claim 14 in other words', "'flatter': 'is **flatter** than', 'sharper'",
      "'sharper': 'is **flatter** than', 'flatter'"),
     ('claim 14, curvature turned', 'd, off = a.ends.largest - b.ends.largest',
      'd, off = b.ends.largest - a.ends.largest', 'analysis/27_landscape_runs'))

area('claims', 'analysis.sharpness', 'test_claims.py::test_claim_14_follows_its_sign',
     ('claim 14, pairs turned', 'd = np.subtract(a.rises, b.rises)', 'd = np.subtract(b.rises, a.rises)'))

area('claims', 'analysis.forgetting', 'test_claims.py::test_claim_10_follows_its_sign_and_that_of_the_metric',
     ('claim 10 against the base', "others = others or [s for s in results if s not in (one, 'base')]",
      'others = others or [s for s in results if s != one]'))

# -- confidence --------------------------------------------------------------------------------------------------------

area('confidence', 'analysis.scored_traces', 'test_confidence.py::test_negative_is_a_drop',
     ('before minus after',
      'np.asarray(self.logprob[student], dtype=float) - np.asarray(self.logprob[base], dtype=float)',
      'np.asarray(self.logprob[base], dtype=float) - np.asarray(self.logprob[student], dtype=float)'),
     ('words of none are words of all', "{0.: 'none', 1.: 'all'}", "{0.: 'all', 1.: 'none'}",
      'analysis/12_scored_traces'),
     ('a teacher agrees with itself', 'in said[s.problem_id].items() if t != s.teacher]',
      'in said[s.problem_id].items()]', 'test_confidence.py::test_agreement_is_that_of_the_others'),
     ('a flip where nothing changed', 'a != b for a, b in zip(most(student), most(base))',
      'a == b for a, b in zip(most(student), most(base))', 'analysis/12_scored_traces analysis/14_changes'))

area('confidence', 'analysis.drops', 'test_confidence.py analysis/13_drops',
     ('a rise is a drop', 'drop = -change if marked is None', 'drop = change if marked is None'),
     ('a marked rise is a drop', 'else change <= -marked', 'else change >= marked'),
     ('no strata of confidence', 'strata = 10*strata + deciles(before)', 'strata = 10*strata',
      'test_claims.py::test_claim_13_is_judged_at_equal_confidence'),
     ('pairs across teachers', "{'teacher': f.teacher,", "{'teacher': 0*f.teacher,",
      'test_confidence.py::test_tokens_are_compared_within_a_teacher'),
     ('the influence of the other kind is lost', 'wins[neg] = len(pos) - (both[len(pos):] - rankdata(score[neg]))',
      'wins[neg] = len(pos)', 'analysis/13_drops'),
     ('clusters as a population', 'm/(m - 1)*sum(', '1*sum(',
      'test_confidence.py::test_seeds_and_problems_both_widen_an_auc'),
     ('few problems have no floor', 'return max(half, float(t_quantile(.975, problems - 1)*error))', 'return half'),
     ('seeds are not counted', 'len(mean), error), half_width(values))', 'len(mean), error))',
      'test_confidence.py::test_seeds_and_problems_both_widen_an_auc'),
     ('the gap turned', 'values = [x - y for x, y in zip(a.by_seed, b.by_seed)]',
      'values = [y - x for x, y in zip(a.by_seed, b.by_seed)]',
      'test_confidence.py::test_a_gap_has_the_sign_of_its_first_student'))

area('confidence', 'analysis.changes', 'test_confidence.py::test_negative_is_a_drop analysis/14_changes',
     ('a marked rise is a drop by kind', 'marked=(change <= -MARK).mean()', 'marked=(change >= MARK).mean()'),
     ('a rise is a drop by kind', 'dropped=(change <= -threshold).mean()', 'dropped=(change >= threshold).mean()',
      'analysis/14_changes'))

area('confidence', 'analysis.confidence', 'analysis/10_confidence',
     ('ranks from 0', 'found.above + 1, found.best', 'found.above, found.best'),
     ('chunks of the vocabulary are not rescaled', 'self.total*(self.high - now).exp()', 'self.total*1'),
     ('the likeliest of the last chunk', 'torch.where(top > self.high, where + start, self.best)', 'where + start'))

area('confidence', 'analysis.confidence_record', 'analysis/16_confidence_record',
     ('the kinds changed places', "'truth': ('quirk', 'shared')", "'truth': ('shared', 'quirk')"),
     ('students of earlier rounds are the last', 'if r in (None, last)]', 'if r in (None, last) or r]'))

area('confidence', 'analysis.token_kinds', 'analysis/11_token_kinds',
     ('a hedge is a connective', "if low in HEDGES: return 'hedge'", "if low in HEDGES: return 'connective'"),
     ('the end is a word', "return kinds[:-1] + ['end'] if kinds else kinds", 'return kinds'),
     ('a word belongs to the blank before it', 'first = min(at + space, len(text) - 1)',
      'first = min(at, len(text) - 1)'))

# -- the loss over weights ---------------------------------------------------------------------------------------------

area('landscape', 'analysis.directions', 'test_weight_space.py::test_what_a_direction_moves',
     ('one scale a tensor',
      'length(t.float(), dim=along, keepdim=True) / length(d, dim=along, keepdim=True).clamp_min(1e-30)',
      'length(t.float()) / length(d).clamp_min(1e-30)',
      'analysis/18_directions test_landscape.py::test_filters_are_outputs'),
     ('norms move too', 'if t.ndim > 1], drawn_there', 'if t.ndim > 0], drawn_there'),
     ('every seed alike', "derive_seed('direction', seed, n)", "derive_seed('direction', n)"),
     ('every tensor alike', "derive_seed('direction', seed, n)", "derive_seed('direction', seed)"),
     ('positive directions', 'torch.randn(t.shape, generator=g, ', 'torch.rand(t.shape, generator=g, '),
     ('transposed filters', 'if type(layer).__name__ in INPUTS_FIRST', 'if type(layer).__name__ in ()',
      'test_landscape.py::test_filters_are_outputs'),
     ('the way back', 'b[n].float() - t.float()', 't.float() - b[n].float()'))

area('landscape', 'analysis.barriers', 'test_weight_space.py::test_a_barrier_is_over_the_line_between_its_ends',
     ('the line through exchanged ends', "(p['x'] - 1, start), (-p['x'], end)", "(-p['x'], start), (p['x'] - 1, end)"),
     ('over the lower end', "(p['x'] - 1, start), (-p['x'], end)", "(-1, min(start, end, key=lambda e: e['value']))"),
     ('the mean against one branch', '[(-w, e) for w, e in zip(weights, ends)]', '[(-1, ends[0])]',
      'analysis/20_barriers'),
     ('back from the base', '[(1 - x, x) for x in at]', '[(x, 1 - x) for x in at]', 'analysis/20_barriers'))

area('landscape', 'analysis.lines', 'analysis/19_lines',
     ('the line from its other end', '[(1 - x, x) for x in at]', '[(x, 1 - x) for x in at]'),
     ('a file of another surface', 'if hash_json({k: old.get(k) for k in head}) == hash_json(head): return',
      'if old: return', 'test_landscape.py::test_other_surfaces_are_refused'))

area('landscape', 'analysis.landscape', 'test_weight_space.py::test_a_mixture_has_the_weights_it_was_given',
     ('steps add up', 'step, off = _step(t, walk.home[n].to(t.device), parts)',
      'step, off = _step(t, t.clone(), parts)',
      'test_landscape.py::test_a_step_does_not_depend_on_the_one_before'),
     ('not put back', 'for n, t in self.own.items(): t.copy_(self.home[n])', 'for n, t in self.own.items(): pass',
      'test_landscape.py::test_restored_after_errors'),
     ('weights of a mixture turned', 'in zip(weights, states.values()) if w]',
      'in zip(weights[::-1], states.values()) if w]'),
     ('a step that is rounded away', 'LOST = 0.05', 'LOST = 5.', 'test_landscape.py::test_too_small_steps'),
     ('rows of one teacher', 'for group in zip(*(r[:each] for r in rows.values())) for r in group]',
      'for group in zip(*(r[:each] for r in list(rows.values())[:1])) for r in group]'))

area('landscape', 'analysis.sharpness', 'analysis/22_sharpness',
     ('one way only', 'walk.move((sign * radius, drawn[i]))', 'walk.move((radius, drawn[i]))'),
     ('half of the way is not counted', "(a['value'] + b['value']) / 2 - start['value']",
      "a['value'] - start['value']"),
     ('directions without a seed', "derive_seed('sharpness', seed, i)", "derive_seed('sharpness', i)",
      'test_landscape.py::test_seeds_have_directions_of_their_own'),
     ('rows are not counted', 'half = add_halves(half, rows)\n    return value - half', 'return value - half',
      'test_weight_space.py::test_rows_and_directions_both_widen_a_loss_increase'))

area('landscape', 'analysis.planes', 'analysis/21_planes',
     ('mixtures that do not sum to 1', '(1 / len(self.names) + centred @', '(centred @'),
     ('rows and columns exchanged', '[plane.weights(x, y) for y in ys for x in xs]',
      '[plane.weights(x, y) for x in xs for y in ys]'),
     ('both axes one direction', "derive_seed('around', seed, i)", "derive_seed('around', seed)"))

area('curvature', 'analysis.curvature', 'analysis/24_curvature',
     ('the first pack only', 'Hessian(map(part, packs)', 'Hessian(map(part, packs[:1])',
      'test_landscape.py::test_hessian_over_several_packs'),
     ('each pack by its own tokens', 'token_losses(model, p, whole=True).sum() / tokens',
      'token_losses(model, p, whole=True).mean()', 'test_landscape.py::test_hessian_over_several_packs'),
     ('the vector before is not taken out', 'if before is not None: w -= betas[-1] * before',
      'if before is not None: pass'),
     ('the diagonal is not taken out', 'w -= a * v', 'w = w*1'),
     ('ends that are surer than they are', 'return values, b * np.abs(vectors[-1])',
      'return values, 0 * np.abs(vectors[-1])'),
     ('probes of half signs', '.mul_(2).sub_(1)', '.mul_(1)'),
     ('probes alike', "derive_seed('trace', seed, i)", "derive_seed('trace', seed)"),
     ('the difference turned', 'np.subtract(a.probes, b.probes)', 'np.subtract(b.probes, a.probes)'))

area('theory', 'analysis.lemma', 'analysis/30_lemma analysis/32_predictions',
     ('a step too many', 'eta*powers(safe, E)[1]/safe', 'eta*powers(safe, E + 1)[1]/safe'),
     ('the slope without its last term', 'for e in range(E - 1, 0, -1)', 'for e in range(E - 1, 1, -1)'))

area('theory', 'analysis.quadratics', 'analysis/31_quadratics',
     ('uphill', 'path[-1] - eta*gradient(path[-1])', 'path[-1] + eta*gradient(path[-1])'),
     ('rounds go on from one branch', 'np.mean([path[-1] for path in branches[-1]], 0)', 'branches[-1][0][-1]'))

# -- runs --------------------------------------------------------------------------------------------------------------

area('resume', 'methods.ledger', 'test_methods.py::test_a_ledger_takes_no_other_result',
     ('another result is taken', 'return all(a[k] == b[k]', 'return any(a[k] == b[k]'),
     ('a later line wins', 'self.records.setdefault(self._key(r), r)', 'self.records.update({self._key(r): r})'))

area('resume', 'core.experiment', 'test_runs.py::test_what_makes_another_experiment',
     ('the temperature may change', "'eval': {'k', 'every_round', 'after', 'batch',",
      "'eval': {'k', 'every_round', 'after', 'batch', 'temperature',"),
     ('the weights may change', "'keep', 'layout', 'branches'},", "'keep', 'layout', 'branches', 'weights'},"))

area('resume', 'data.pools', 'test_pools.py::test_changed_data_have_another_hash',
     ('changed traces are the same data', '[t.problem_id, t.prompt, t.completion]', '[t.problem_id, t.prompt]'),
     ('changed answers are the same data', '[[p.id, p.question, p.answer] for p in pool.heldout]',
      '[[p.id, p.question] for p in pool.heldout]'))

area('resume', 'methods.manifest', 'test_runs.py::test_a_changed_base_student_is_refused',
     ('a changed student goes on', ':= student_files(settings)) != files:', ':= student_files(settings)) is None:'))

area('resume', 'student.branch', 'student/06_branch',
     ('torn checkpoints are whole', 'if hash_weights_file(path/f, kind) != h: return',
      'if hash_weights_file(path/f, kind) is h: return'),
     ('a manifest that names no hash has the new one', "kind = about.get('hash', 'sha256')",
      "kind = about.get('hash', 'blake3')", 'test_branch.py::test_a_checkpoint_says_how_it_is_hashed'),
     ('a checkpoint behind the stop', 'if most is not None and step > most: continue',
      'if most is not None and step < 0: continue', 'test_branch.py::test_which_checkpoint_a_branch_goes_on_from'),
     ('moments are left behind', "branch.count = json.loads((Path(path)/'checkpoint.json').read_text())['count']",
      'branch.count = 0'),
     ('the step is left behind', "branch.step, branch.log = about['step'], about['log']", "branch.log = about['log']"),
     ("another teacher's checkpoint", "if label is not None and about['label'] != label: return",
      'if label is about: return', 'test_branch.py::test_which_checkpoint_a_branch_goes_on_from'))

area('resume', 'methods.lab', 'test_methods.py::test_what_makes_another_student',
     ('a path without its corpora', 'name, corpora, rows.key, self.seed, train,', 'name, rows.key, self.seed, train,'),
     ('a path without its curriculum', 'name, corpora, rows.key, self.seed, train,',
      'name, corpora, self.seed, train,'),
     ('a path without its seed', 'name, corpora, rows.key, self.seed, train,', 'name, corpora, rows.key, train,'),
     ('a path without its settings', 'name, corpora, rows.key, self.seed, train,',
      'name, corpora, rows.key, self.seed,'),
     ('a path without its schedule', 'total if scheduled else None])', 'None])'))

area('resume', 'methods.recipes', 'test_methods.py::test_what_makes_another_student',
     ('a merge without its weights', 'base.key, list(weights)])', 'base.key])'),
     ('a merge without its operator', "['merge', by.key, [b.key", "['merge', [b.key"),
     ('a merge without its start', '[b.key for b in branches], base.key, list(weights)])',
      '[b.key for b in branches], list(weights)])'),
     ('an outer step without its options', "['step', by.key, before.key, merge.key]",
      "['step', before.key, merge.key]"),
     ('shared steps are counted more than once', 'work = steps_in_all(*branches, base)',
      'work = base.work + sum(b.work - base.work for b in branches)',
      'methods/02_recipes test_methods.py::test_an_own_method'),
     ('moments of any teachers', 'return student if student.path.teachers == teachers else',
      'return student if teachers else', 'methods/02_recipes'))

area('resume', 'methods.parts', 'test_methods.py::test_what_makes_another_student',
     ('an operator without its options', '[self.name, options, []', '[self.name, [], []'),
     ('an operator without its constants',
      'return [] if known else [[name, _stable(value, seen)]]', 'return []',
      'test_methods.py::test_a_changed_constant_is_another_run'))

area('resume', 'methods.evaluation', 'test_methods.py::test_what_makes_another_measurement',
     ('a measurement without its problems', 'self.system, rows, problems, *[held]', 'self.system, rows, *[held]'),
     ('a measurement without its rows', 'self.system, rows, problems, *[held]', 'self.system, problems, *[held]'),
     ('a measurement without its decoding', "['measure', how, self.seed", "['measure', self.seed"),
     ('all rows, not the first', 'rows[self.corpus][:how.loss_rows],', 'rows[self.corpus][:],'))

area('resume', 'methods.device', 'test_runs.py::test_a_damaged_student_is_made_again',
     ('a torn student is taken', 'try: state = dict(stored_weights(folder, names))',
      'return dict(stored_weights(folder, names))\n    try: state = dict(stored_weights(folder, names))'))

area('resume', 'methods.maker', 'test_methods.py::test_answers_of_a_changed_part_are_not_taken',
     ("another student's answers stay", 'not in (h, None): file.unlink()', 'is file: file.unlink()'),
     ('other weights are taken for the same', "elif before['hash'] != h: raise", "elif before['hash'] is None: raise",
      'test_methods.py::test_a_student_made_again_otherwise_is_an_error'))

# -- several processes -------------------------------------------------------------------------------------------------

area('ranks', 'scale.teams', 'scale/03_teams',
     ('rows are not shared evenly', 'load[r] += len(rows[i])', 'load[r] += 0'),
     ('a rank counts its own tokens', 'mine + [None] * (turns - len(mine)), sum(map(supervised, parts))',
      'mine + [None] * (turns - len(mine)), supervised(parts[self.student.s])'),
     ('each rank clips by its own norm',
      'total, self.square, wrong = self._sum(total, _square(weights.masters), float(len(bad)))',
      'total, self.square, wrong = self._sum(total, 0., float(len(bad)))[0], _square(weights.masters), '
      'float(len(bad))'),
     ('adapters are not summed', 'dist.all_reduce(flat, group=group)\n    for p, g', 'for p, g'))

area('ranks', 'scale.joint_files', 'scale/00_joint_files',
     ('every rank writes at the front', 'first*math.prod(shape[1:])*dtype.itemsize', '0*math.prod(shape[1:])'),
     ('rows land on their neighbours', 'or last > math.prod(shape[:1]):', 'or last < 0:'))

area('ranks', 'scale.sharded', 'test_mesh.py::test_ranks_write_the_student_that_one_process_writes',
     ('every rank has the first experts', "f'{base}.{first + i}.{part}.weight'", "f'{base}.{i}.{part}.weight'"),
     ('every rank has the first rows', 'self.span(n)[0], t.detach()', '0, t.detach()'))

area('ranks', 'methods.ranks', 'test_mesh.py::test_what_is_kept_beside_a_stage',
     ('the hash of the student, not of what is kept', 'return self.row.hash(state)', 'return self.row.hash()'),
     ('what is damaged is read', 'try: return hash_tensors(stored()) == wanted',
      'try: return bool(hash_tensors(stored()))'))

area('ranks', 'scale.fold', 'scale/04_fold',
     ('a mean without weights', 'total.add_(p, alpha=weight)', 'total.add_(p, alpha=.5)'),
     ('updates from nothing', 'd = p - start\n', 'd = p\n'))

area('ranks', 'scale.shares', 'test_shares.py::test_every_sample_is_drawn_once_and_of_this_student',
     ('every rank every pack', 'if j % n == i: out.append(', 'if j % n <= i: out.append(', 'scale/05_shares'),
     ('rows of another pack', 'at += len(p.rows)', 'at += 1', 'test_shares.py::test_every_row_is_measured_once'),
     ('batches of all ranks', '_missing([len(x) for x in ids], have, k, batch)[i::n]',
      '_missing([len(x) for x in ids], have, k, batch)'),
     ('samples of other weights', "if rows[0].get('hash') != head['hash']:", "if rows[0].get('hash') is None:"))

area('ranks', 'methods.ranks', 'test_mesh.py::test_eight_ranks_equal_one_process',
     ('the loss of one rank alone', 'for _, pairs in sorted(found) for pair in pairs]',
      'for _, pairs in sorted(found)[:1] for pair in pairs]'),
     ('an operator without the start', 'merge.by({n: base}, {k: {n: t}', 'merge.by({n: 0*base}, {k: {n: t}',
      'test_mesh.py::test_parts_on_two_ranks'))

# -- texts -------------------------------------------------------------------------------------------------------------

area('thought and end of turn', 'data.thought', 'data/00_thought test_corpora.py',
     ('the first closing mark', 'inside, closed, said = text.rpartition(mark.closes)',
      'inside, closed, said = text.partition(mark.closes)'),
     ('a thought that never ended is said', "return Thought('begun', mark, lead, thinking, '')",
      "return Thought('begun', mark, lead, thinking, thinking)", 'test_problems.py'),
     ('an empty thought is open', "return 'closed', m", "return 'open', m", 'test_problems.py'),
     ('one end mark only', 'while last != end:', 'for _ in range(1):'))

area('thought and end of turn', 'data.chat', 'test_corpora.py data/02_chat',
     ('names of control tokens are tokens', 'add_special_tokens=False, split_special_tokens=True))',
      'add_special_tokens=False, split_special_tokens=False))'),
     ('the end of sequence ends a turn', 'return controls.get(first, added.get(first))',
      'return tokenizer.eos_token_id', 'test_corpora.py::test_a_row_ends_as_the_template_ends_a_turn'),
     ('the last token behind a turn', 'first = min(names, key', 'first = max(names, key',
      'test_corpora.py::test_the_first_token_behind_a_message_ends_the_turn'),
     ('a thought that the prompt opened is lost', "return (mark.opens + '\\n' if state == 'open' else '') + text",
      'return text', 'test_corpora.py::test_an_answer_shows_the_thought_its_prompt_opened'),
     ('today in every prompt', '_DATE = datetime.datetime(2024, 7, 26)', '_DATE = datetime.datetime.now()',
      'test_corpora.py::test_a_template_that_prints_the_date_prints_one_date'))

area('thought and end of turn', 'data.corpora', 'test_corpora.py::test_what_is_taught_behind_each_prompt',
     ('an open thought is not closed', "return f'\\n{mark.closes}\\n\\n{text}'", 'return text'),
     ('a row ends with the end of sequence', 'tokenizer, frame), frame.end), len(prompt)',
      'tokenizer, frame), tokenizer.eos_token_id), len(prompt)',
      'test_corpora.py::test_a_row_ends_as_the_template_ends_a_turn'),
     ('read back without its thought', "_differ('thought', meant.thinking, found.thinking) or", '',
      'test_corpora.py::test_read_back_says_what_is_wrong'))

area('thought and end of turn', 'methods.start_check',
     'test_methods.py::test_a_row_that_does_not_read_back_stops_a_run',
     ('rows that read otherwise are let pass', 'if not wrong: return', 'if wrong is wrong: return'))

area('corpora', 'data.corpora', 'test_corpora.py::test_what_is_dropped_is_counted',
     ('wrong traces stay', 'if not t.reference or is_correct(t.reference, t.completion))', 'if t.completion)',
      'data/03_corpora test_corpora.py'),
     ('unknown references are wrong', 'if not t.reference or is_correct(', 'if is_correct('),
     ('wrong traces of a second filter are lost', "dropped.get('wrong answer', 0) + wrong", 'wrong'),
     ('long traces are not counted', "{'too long': len(rows) - len(kept)} if", '{} if'),
     ('a row of just the limit is dropped', 'if len(r) <= max_tokens]', 'if len(r) < max_tokens]'),
     ('end marks are not counted', 'ended += text != t.completion', 'ended += 0',
      'test_corpora.py::test_an_end_mark_is_taken_off_and_counted'),
     ('the same sample of every problem', "derive_seed('one', seed, corpus.teacher, p)", "derive_seed('one', seed)",
      'test_corpora.py::test_one_per_problem_is_drawn_for_each'),
     ('other samples are not counted', '{**corpus.dropped, **counted}', '{**corpus.dropped}',
      'test_corpora.py::test_one_per_problem_is_drawn_for_each'),
     ('traces without an answer are not counted', 'except _Skip as e: dropped[str(e)] = dropped.get(str(e), 0) + 1',
      'except _Skip as e: dropped[str(e)] = 1'))

area('verifiers', 'data.problems', 'test_verifiers.py::test_every_door_asks_the_verifier',
     ('a verifier is not asked', 'if found := verifier_of(gold): return verified(found, _said(text))', 'found = None'),
     ('a verifier is given the thought', 'return after_thought(without_end(str(text)))', 'return str(text)'),
     ('a long specification is cut', 'if verifier_of(text): return text', 'if not text: return text',
      'test_verifiers.py::test_a_long_reference_is_kept_whole'))

area('python tests', 'core.python_tests', 'test_verifiers.py::test_without_leave_nothing_runs',
     ('code runs without leave', "    if leave != '1':", "    if leave == '0':"),
     ('no hook', 'sys.addaudithook(hook)', 'pass', 'test_verifiers.py::test_no_other_process'),
     ('memory has no limit', "RLIMIT_AS=limits['memory'], ", '',
      'test_verifiers.py::test_bombs_end_soon_and_are_wrong'),
     ('the first block counts', 'return blocks[-1] if blocks', 'return blocks[0] if blocks',
      'test_verifiers.py::test_which_block_counts'),
     ('any object is data', "raise TypeError('no plain data')", 'return repr(v)',
      'test_verifiers.py::test_tricks_are_not_right'))

area('programs', 'data.programs', 'test_programs.py::test_right_is_what_passes_and_nothing_else',
     ('one test is enough', 'all(run_program(program, x) == y for', 'any(run_program(program, x) == y for'),
     ('longer programs are read', '<= 2 * MOST', '<= 20 * MOST', 'test_programs.py::test_what_is_no_program_is_wrong'),
     ('turned tests are another task', 'tuple(sorted(task.tests))', 'task.tests',
      'test_programs.py::test_splits_and_both_held_out_sets_are_apart'))

area('pools', 'data.pools', 'test_pools.py::test_held_out_problems_are_those_of_every_seed',
     ('questions may stand on both sides', '    check_apart(name, train, heldout)', '    pass',
      'test_pools.py data/09_pools'),
     ('a question in other signs is another', 'question).casefold()', 'question)',
      'test_pools.py::test_a_held_out_question_in_other_signs_is_the_same'),
     ('held-out problems change with the seed', "derive_seed('heldout', name, HELDOUT_SEED)",
      "derive_seed('heldout', name, seed)"),
     ('held out of the same template, and trained on', 'if p.question not in asked]', 'if p.question]',
      'test_pools.py::test_toy_problems_of_the_training_kind_are_new'),
     ('answers may disagree', 'if t.reference and t.reference != (a', 'if not t.reference and t.reference != (a',
      'test_pools.py::test_a_reference_that_disagrees_is_refused data/09_pools'),
     ('traces of problems left out', 'of = [t for t in corpus.traces if t.problem_id in kept]',
      'of = list(corpus.traces)'),
     ('every seed the same problems', "derive_seed('train', name, seed)", "derive_seed('train', name)"))

area('distillation', 'student.distillation', 'test_distillation.py',
     ('the mixture is weighted the other way', 'teacher + math.log(beta), student + math.log(1 - beta)',
      'teacher + math.log(1 - beta), student + math.log(beta)'),
     ('forward and reverse are swapped', 'if beta == 0: return kl(teacher, student)',
      'if beta == 0: return kl(student, teacher)'),
     ('logits are averaged', 'return torch.logsumexp(logits.log_softmax(-2) + shares.log().unsqueeze(-2), -3)',
      'return (logits * shares.unsqueeze(-2)).sum(-3).log_softmax(-2)'),
     ('own answers are not learnt from', 'lists = self.answer(', 'self.answer('))

area('RegMean', 'analysis.many_methods', 'test_distillation.py',
     ('inputs do not count', 'right = sum(g @ w.double().T for g, w in zip(damped, weights))',
      'right = sum(damped) @ sum(w.double().T for w in weights) / len(weights)'),
     ('one token alone counts', 'detach().double().flatten(0, -2)', 'detach().double().flatten(0, -2)[:1]'))

area('speed', 'app.speed_runs', 'app/24_speed_runs',
     ('other losses count as equal', 'loss < _MOST_LOSS and', 'loss >= 0 and'),
     ('other weights count as equal', 'weights < _MOST_WEIGHTS)', 'weights >= 0)'))
area('speed', 'analysis.speed_reading', 'analysis/57_speed_reading',
     ('who did something else is compared', "if s and s[0].get('right')}", 'if s}'))
