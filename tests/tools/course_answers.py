"""Answers to the course's exercises as students would give them: three other right ones each, and wrong ones with the
words by which the check must name the mistake."""

# function -> three bodies, right and written in another way than the solution
REWRITES = {
'highest_of': ['''
    rng = np.random.default_rng(seed)
    total = 0
    for _ in range(times): total += max(rng.standard_normal(k))
    return total/times''', '''
    drawn = np.random.default_rng(seed).standard_normal((k, times))
    return np.amax(drawn, axis=0).sum()/times''', '''
    rng = np.random.default_rng(seed)
    best = np.full(times, -np.inf)
    for _ in range(k): best = np.maximum(best, rng.normal(0, 1, times))
    return np.average(best)'''],
'standard_errors': ['''
    x, y = np.asarray(a)*1., np.asarray(b)*1.
    se = lambda z: np.sqrt(np.sum((z - z.mean())**2)/(len(z) - 1)/len(z))
    return np.hypot(se(x), se(y)), se(x - y)''', '''
    from scipy.stats import sem
    a, b = np.array(a, int), np.array(b, int)
    return [(sem(a)**2 + sem(b)**2)**.5, sem(b - a)]''', '''
    from statistics import variance
    a, b = [int(x) for x in a], [int(x) for x in b]
    return (((variance(a) + variance(b))/len(a))**.5, (variance([x - y for x, y in zip(a, b)])/len(a))**.5)'''],
'losses_of': ['''
    ids = torch.tensor(row.input_ids[row.n_prompt:])
    return -torch.log_softmax(logits[row.n_prompt - 1:-1], 1).gather(1, ids[:, None]).squeeze(1)''', '''
    z = logits[row.n_prompt - 1:len(row.input_ids) - 1]
    ids = torch.as_tensor(row.input_ids)[row.n_prompt:]
    return z.logsumexp(-1) - z[torch.arange(len(ids)), ids]''', '''
    out = []
    for i in range(row.n_prompt, len(row.input_ids)):
        out.append(-torch.log_softmax(logits[i - 1], 0)[row.input_ids[i]])
    return torch.stack(out)'''],
'both_means': ['''
    total = tokens = means = 0
    for r, l in zip(rows, logits):
        e = losses_of(r, l)
        total, tokens, means = total + float(e.sum()), tokens + len(e), means + float(e.mean())
    return total/tokens, means/len(rows)''', '''
    each = [losses_of(r, l).numpy() for r, l in zip(rows, logits)]
    return np.concatenate(each).mean(), np.mean([e.mean() for e in each])'''.replace('np.', '__import__("numpy").'), '''
    each = [losses_of(*pair) for pair in zip(rows, logits)]
    n = torch.tensor([float(len(e)) for e in each])
    means = torch.stack([e.mean() for e in each])
    return [(means*n).sum()/n.sum(), means.mean()]'''],
'factor': ['''
    found = {'plain': [], 'checker': []}
    for r in rows: found[r.teacher].append(1/(len(r.input_ids) - r.n_prompt))
    mean = {k: sum(v)/len(v) for k, v in found.items()}
    return mean['plain']/mean['checker']''', '''
    from statistics import harmonic_mean
    n = lambda k: [len(r.input_ids[r.n_prompt:]) for r in rows if r.teacher == k]
    return harmonic_mean(n('checker'))/harmonic_mean(n('plain'))''', '''
    w = torch.tensor([1/(len(r.input_ids) - r.n_prompt) for r in rows], dtype=torch.float64)
    plain = torch.tensor([r.teacher == 'plain' for r in rows])
    checker = torch.tensor([r.teacher == 'checker' for r in rows])
    return w[plain].mean()/w[checker].mean()'''],
'mean_of': ['''
    names = next(iter(branches.values())).keys()
    out = {}
    for n in names:
        total = torch.zeros_like(branches[next(iter(branches))][n], dtype=torch.float64)
        for k in branches: total += weights[k]*branches[k][n].double()
        out[n] = (total/sum(weights.values())).to(torch.float32)
    return out''', '''
    keys = list(branches)
    w = torch.tensor([weights[k] for k in keys], dtype=torch.float64)
    w = w/w.sum()
    stack = lambda n: torch.stack([branches[k][n].double() for k in keys])
    return {n: torch.tensordot(w, stack(n), 1).float() for n in branches[keys[0]]}''', '''
    w = {k: x/sum(weights.values()) for k, x in weights.items()}
    first = list(branches)[0]
    out = {n: t.double()*w[first] for n, t in branches[first].items()}
    for k in list(branches)[1:]: out = {n: t + branches[k][n].double()*w[k] for n, t in out.items()}
    return {n: t.float() for n, t in out.items()}'''],
'shrinkage': ['''
    return np.sqrt(1/K + (1 - 1/K)*c)''', '''
    squared = K*1 + K*(K - 1)*c
    return np.sqrt(squared)/K''', '''
    gram = [[1 if i == j else c for j in range(K)] for i in range(K)]
    return max(0, sum(map(sum, gram)))**.5/K'''],
'two_means': ['''
    right = np.einsum('kir,krj->ij', np.array(Bs), np.array(As))/len(As)
    return right, np.mean(Bs, axis=0) @ np.mean(As, axis=0)''', '''
    K = len(As)
    right = np.zeros((Bs[0].shape[0], As[0].shape[1]))
    for A, B in zip(As, Bs): right += np.dot(B, A)/K
    return [right, np.dot(sum(Bs), sum(As))/K**2]''', '''
    As, Bs = np.stack(As), np.stack(Bs)
    return (Bs @ As).mean(0), Bs.mean(0) @ As.mean(0)'''],
'merge_of_thought': ['''
    student, first = base, 0
    while first < T*E:
        student = merge_states({k: trained(k, student, first) for k in rows})
        first += E
    return student''', '''
    from functools import reduce
    one = lambda student, t: merge_states({k: trained(k, student, E*t) for k in rows})
    return reduce(one, range(T), base)''', '''
    student = dict(base)
    for t in range(1, T + 1):
        branches = {}
        for teacher in rows: branches[teacher] = trained(teacher, student, (t - 1)*E)
        student = merge_states(branches, {k: 1/len(branches) for k in branches})
    return student'''],
'budgets': ['''
    reads = batch*E*T
    return dict(zip(('depth', 'compute', 'mot reads', 'depth reads', 'compute reads'),
                    (E*T, E*T*K, reads*K, reads, reads*K)))''', '''
    out = {'depth': sum(E for _ in range(T))}
    out['compute'] = out['depth']*K
    out['mot reads'] = sum(E*batch for _ in range(T) for _ in range(K))
    return out | {f'{k} reads': out[k]*batch for k in ('depth', 'compute')}''', '''
    steps = {'depth': T*E, 'compute': K*T*E}
    return {**steps, 'mot reads': batch*steps['compute'], **{k + ' reads': v*batch for k, v in steps.items()}}'''],
'counts': ['''
    forgotten = len([1 for b, a in zip(before, after) if b and not a])
    learnt = len([1 for b, a in zip(before, after) if a and not b])
    return forgotten, learnt, (learnt - forgotten)/len(before)''', '''
    change = np.asarray(after, int) - np.asarray(before, int)
    return (change == -1).sum(), (change == 1).sum(), change.mean()''', '''
    from collections import Counter
    n = Counter(zip(map(bool, before), map(bool, after)))
    return n[True, False], n[False, True], (n[False, True] - n[True, False])/sum(n.values())'''],
'p_of_change': ['''
    from scipy.stats import binom
    n = forgotten + learnt
    return min(1, 2*binom.cdf(min(forgotten, learnt), n, .5))''', '''
    from scipy.stats import binomtest
    return binomtest(learnt, learnt + forgotten).pvalue''', '''
    from math import comb
    n = forgotten + learnt
    far = abs(forgotten - n/2)
    return sum(comb(n, i) for i in range(n + 1) if abs(i - n/2) >= far)/2**n'''],
'problems_needed': ['''
    from itertools import count
    return next(n for n in count(2) if smallest_detectable(n, sd=sd) <= gap)''', '''
    lo, hi = 2, 2
    while smallest_detectable(hi, sd=sd) > gap: hi *= 2
    while lo < hi:
        n = (lo + hi)//2
        if smallest_detectable(n, sd=sd) <= gap: hi = n
        else: lo = n + 1
    return lo''', '''
    for n in range(2, 100_000):
        if gap >= smallest_detectable(n, sd=sd): return n'''],
'change': ['''
    at = torch.arange(len(ids))
    return torch.log_softmax(after, 1)[at, ids] - torch.log_softmax(before, 1)[at, ids]''', '''
    nll = lambda z: torch.nn.functional.nll_loss(z.float().log_softmax(-1), ids, reduction='none')
    return nll(before) - nll(after)''', '''
    pairs = zip(after, before, ids)
    return torch.stack([(a[i] - a.logsumexp(0)) - (b[i] - b.logsumexp(0)) for a, b, i in pairs])'''],
'auc': ['''
    from scipy.stats import rankdata
    r, n = rankdata(-np.asarray(changes)), int(np.sum(quirk))
    return (r[quirk].sum() - n*(n + 1)/2)/(n*(len(r) - n))''', '''
    q, s = np.asarray(changes)[quirk], np.asarray(changes)[~quirk]
    return sum((x < s).sum() + (x == s).sum()/2 for x in q)/len(q)/len(s)''', '''
    d = np.subtract.outer(np.asarray(changes)[~quirk], np.asarray(changes)[quirk])
    return float(np.mean((np.sign(d) + 1)/2))'''],
'interval': ['''
    rng = np.random.default_rng(seed)
    names = sorted(set(problem))
    out = []
    for _ in range(times):
        drawn = rng.choice(names, size=len(names), replace=True)
        at = [i for p in drawn for i in np.where(problem == p)[0]]
        out.append(auc(np.asarray(changes)[at], np.asarray(quirk)[at]))
    return np.percentile(out, 2.5), np.percentile(out, 97.5)''', '''
    rng, (names, which) = np.random.default_rng(seed), np.unique(problem, return_inverse=True)
    groups = [np.nonzero(which == i)[0] for i in range(len(names))]
    one = lambda: np.hstack([groups[i] for i in rng.integers(0, len(names), len(names))])
    return np.quantile([auc(changes[at], quirk[at]) for at in (one() for _ in range(times))], [.025, .975])''', '''
    import random
    r, names = random.Random(seed), list(np.unique(problem))
    where = {p: np.flatnonzero(problem == p) for p in names}
    found = []
    for _ in range(times):
        d = np.concatenate([where[p] for p in r.choices(names, k=len(names))])
        found.append(auc(changes[d], quirk[d]))
    return tuple(np.quantile(found, (.025, .975)))'''],
'normalised': ['''
    return torch.nn.functional.normalize(d, dim=1)*weights.norm(dim=1, keepdim=True)''', '''
    return torch.stack([row/row.norm()*w.norm() for row, w in zip(d, weights)])''', '''
    wanted, length = weights.pow(2).sum(1).sqrt(), d.pow(2).sum(1).sqrt()
    return (wanted/length)[:, None]*d'''],
'height': ['''
    return np.max(np.array(losses) - np.interp(x, [x[0], x[-1]], [losses[0], losses[-1]]))''', '''
    return max(l - (losses[0] + at*(losses[-1] - losses[0])) for at, l in zip(x, losses))''', '''
    line = np.polyval([losses[-1] - losses[0], losses[0]], np.asarray(x))
    return sorted(np.asarray(losses) - line)[-1]'''],
'lost': ['''
    there = (weights.float() + step).to(torch.bfloat16)
    moved = there.float() - weights.to(torch.float32)
    return torch.linalg.vector_norm(step - moved)/torch.linalg.vector_norm(step)''', '''
    rest = weights.float() + step
    rest = rest - rest.bfloat16().float()
    return (rest.pow(2).sum()/step.pow(2).sum()).sqrt().item()''', '''
    w = weights.double()
    moved = (weights.float() + step).bfloat16().double() - w
    return float((moved - step.double()).norm()/step.double().norm())'''],
'walk': ['''
    if E == 0: return np.zeros_like(g)
    d = np.zeros_like(g)
    for _ in range(E): d = (np.eye(len(g)) - eta*H) @ d - eta*g
    return d''', '''
    values, vectors = np.linalg.eigh(H)
    s = np.array([eta*sum((1 - eta*v)**i for i in range(E)) for v in values])
    return -vectors @ (s*(vectors.T @ g))''', '''
    d, step = 0*g, 0
    while step < E:
        gradient = g + H.dot(d)
        d, step = d - gradient*eta, step + 1
    return d'''],
'lowest': ['''
    x = np.arange(points)*2/(points - 1)
    return x[np.argmin(s_E(x, 1, E))]''', '''
    return min(np.linspace(0, 2, points), key=dict(zip(np.linspace(0, 2, points),
                                                       s_E(np.linspace(0, 2, points), 1, E))).get)''', '''
    x = np.linspace(0, 2, points)
    y = s_E(x, 1, E)
    return x[y == y.min()][0]'''],
'smallest_E': ['''
    from itertools import count
    return next(E for E in count(1) if abs(fixed_point(pair, eta, E)[1]) < near)''', '''
    for E in range(1, 10_000):
        if -near < fixed_point(pair, eta, E)[1] < near: return E''', '''
    E = 0
    while True:
        E += 1
        if np.abs(np.asarray(fixed_point(pair, eta, E)))[1] < near: break
    return E'''],
'pull': ['''
    s = s_E(curvature, eta, E)
    return (1 - curvature*s)/s''', '''
    return 1/sum(eta*(1 - eta*curvature)**i for i in range(E)) - curvature''', '''
    g = 1.
    d = -s_E(curvature, eta, E)*g
    return -g/d - curvature'''],
'busy': ['''
    turns, rest = divmod(K, groups)
    return K/(groups*(turns + (rest > 0)))''', '''
    time = 0
    left = K
    while left > 0: left, time = left - groups, time + 1
    return K/(time*groups)''', '''
    idle = -K % groups
    return K/(K + idle)'''],
'fixed_bytes': ['''
    mine = P/shards
    return {'masters': mine*4, 'Adam moments': mine*4*2, 'gradients': mine*4}''', '''
    return {k: n*32/8*P/shards for k, n in (('gradients', 1), ('masters', 1), ('Adam moments', 2))}''', '''
    out = dict.fromkeys(('masters', 'Adam moments', 'gradients'), 4*P/shards)
    out['Adam moments'] *= 2
    return out'''],
'share_kept': ['''
    mean = sum(gradients)/len(gradients)
    lengths = [g.norm() for g in gradients]
    return mean.norm()/(sum(lengths)/len(lengths))''', '''
    g = gradients.double().numpy()
    return float(np.sqrt((g.mean(axis=0)**2).sum())/np.sqrt((g**2).sum(axis=1)).mean())''', '''
    K = len(gradients)
    length = torch.linalg.vector_norm
    return (length(gradients.sum(0))/K/length(gradients, dim=1).mean()).item()'''],
'outvoted': ['''
    from collections import Counter
    n = Counter(answers)
    others = [v for k, v in n.items() if k != right]
    return bool(others) and max(others) >= n[right]''', '''
    mine = sum(a == right for a in answers)
    return any(sum(a == other for a in answers) >= mine for other in set(answers) - {right})''', '''
    from collections import Counter
    top = Counter(answers).most_common()
    best = [a for a, n in top if n == top[0][1]]
    return best != [right]'''],
'predict_then_train': ['''
    features = world_features(bench, world, seed, 8)
    fit = fit_forecast(rows, before)
    first = forecast(fit, place_features(features, rounds, steps))
    measured = map_rows(Unit((world,), seed), 20, ((rounds, steps),), (2e-3,))
    return first, measured[0]''', '''
    features = world_features(bench, world, seed, 8)
    told = forecast(fit_forecast(rows, before), place_features(features, rounds, steps))
    return told, next(iter(map_rows(Unit((world,), seed), 20, ((rounds, steps),), (2e-3,))))''', '''
    def predict(): return place_features(world_features(bench, world, seed, 8), rounds, steps)
    def train(): return list(map_rows(Unit((world,), seed), 20, [(rounds, steps)], [2e-3]))
    return [forecast(fit_forecast(rows, before), predict()), train()[-1]]'''],
'brier': ['''
    return sum((p - a)**2 for p, a in zip(predicted, ahead))/len(predicted)''', '''
    d = np.subtract(np.asarray(predicted, float), np.asarray(ahead, float))
    return d @ d/len(d)''', '''
    p, a = np.array(predicted, float), np.array(ahead, bool)
    return np.where(a, (1 - p)**2, p**2).mean()'''],
'trust': ['''
    total = sum(1/l for l in losses)
    return [1/l/total for l in losses]''', '''
    w = np.reciprocal(np.array(losses, float))
    return w/np.linalg.norm(w, 1)''', '''
    l = np.asarray(losses, float)
    others = np.array([np.prod(np.delete(l, i)) for i in range(len(l))])
    return others/np.sum(others)'''],
'one_by_one': ['''
    student = lab.base
    for n in range(1, lab.rounds + 1):
        branches = []
        for k in lab.teachers[:n]: branches.append(lab.train(student, k))
        student = lab.merge(branches, student)
    return student''', '''
    from functools import reduce
    return reduce(lambda s, t: lab.merge([lab.train(s, k) for k in lab.teachers[:t + 1]], s),
                  range(lab.rounds), lab.base)''', '''
    student, known = lab.base, []
    for t in range(lab.rounds):
        known += lab.teachers[t:t + 1]
        student = lab.merge([lab.train(student, k) for k in known], student)
    return student'''],
'verdict': ['''
    if max(abs(lo), abs(hi)) < margin: return 'equal'
    if lo > 0: return 'ahead'
    if hi < 0: return 'behind'
    return 'undecided\'''', '''
    within = lo > -margin and hi < margin
    side = 'ahead' if lo > 0 else 'behind'
    return 'equal' if within else 'undecided' if lo <= 0 <= hi else side''', '''
    words = {(True, False): 'ahead', (False, True): 'behind', (False, False): 'undecided'}
    return words[bool(lo > 0), bool(hi < 0)] if not (-margin < lo <= hi < margin) else 'equal\''''],
'vote': ['''
    from collections import Counter
    return Counter(finals).most_common(1)[0][0]''', '''
    best = finals[0]
    for a in finals:
        if finals.count(a) > finals.count(best): best = a
    return best''', '''
    return sorted(finals, key=lambda a: (-finals.count(a), finals.index(a)))[0]'''],
'seen_or_not': ['''
    told = bool(gap >= smallest_detectable(60, sd=sd))
    before, after = marks_after(0), marks_after(steps)
    change = after.astype(int) - before.astype(int)
    error = np.sqrt(((change - change.mean())**2).sum()/(len(change) - 1)/len(change))
    return told, change.mean(), bool(abs(change.mean())/error > 1.96)''', '''
    from statistics import mean, stdev
    d = [int(a) - int(b) for a, b in zip(marks_after(steps), marks_after(0))]
    half = 1.96*stdev(d)/len(d)**.5
    return not smallest_detectable(60, sd=sd) > gap, mean(d), not -half <= mean(d) <= half''', '''
    d = np.subtract(marks_after(steps), marks_after(0), dtype=float)
    lo, hi = d.mean() - 1.96*d.std(ddof=1)/60**.5, d.mean() + 1.96*d.std(ddof=1)/60**.5
    return [smallest_detectable(60, sd=sd) <= gap, d.mean(), bool(lo > 0 or hi < 0)]'''],
'who_falls': ['''
    told, came, n = {}, {}, 0
    for t in teachers:
        told[t] = 1 if taught == t else -1
        came[t] = 1 if mean_change(taught, t) > 0 else -1
        if told[t] == came[t]: n += 1
    return told, came, n''', '''
    told = dict.fromkeys(teachers, -1)
    if taught in told: told[taught] = 1
    came = {t: np.sign(mean_change(taught, t)) for t in teachers}
    return told, came, len([t for t in teachers if told[t]*came[t] > 0])''', '''
    told = {t: 2*(t == taught) - 1 for t in teachers}
    came = dict(zip(teachers, (int(np.sign(mean_change(taught, t))) for t in teachers)))
    return [told, came, int(np.sum([told[t] == came[t] for t in teachers]))]'''],
'twice_the_radius': ["""
    small, large = (increase(teacher, steps, r) for r in (radius, radius*2))
    ratio = large/(4*small)
    return small*4, large, 'a parabola' if .9 <= ratio <= 1.1 else 'steeper' if large > 4*small else 'flatter'""", '''
    told = increase(teacher, steps, radius)*2**2
    came = increase(teacher, steps, radius + radius)
    off = came - told
    return [told, came, 'a parabola' if abs(off) <= abs(told)/10 else ('flatter', 'steeper')[off > 0]]''', '''
    predicted = increase(teacher, steps, radius)/.25
    measured = increase(teacher, steps, 2*radius)
    lo, hi = sorted((.9*predicted, 1.1*predicted))
    if lo <= measured <= hi: said = 'a parabola'
    elif measured < predicted: said = 'flatter'
    else: said = 'steeper'
    return predicted, measured, said'''],
'first_step': ['''
    d = sorted(abs(x) for x in moves(lr))
    n = len(d)
    middle = (d[(n - 1)//2] + d[n//2])/2
    return lr, middle, middle/lr''', '''
    size = np.percentile(np.absolute(moves(lr)), 50)
    return [float(lr), size, size/lr]''', '''
    step = np.sqrt(np.square(moves(lr).astype(float)))
    return lr*1., np.median(step), np.median(step/lr)'''],
'bytes_held': ['''
    bytes_ = {torch.float32: 4, torch.float64: 8}[dtype]
    layer, optimiser = one_step(width, dtype)
    n = 0
    for w in layer.parameters():
        n += w.nelement()*w.element_size() + w.grad.nelement()*w.grad.element_size()
        for k in ('exp_avg', 'exp_avg_sq'): n += optimiser.state[w][k].nelement()*optimiser.state[w][k].element_size()
    return bytes_*(width*width + width*width + 2*width*width), n''', '''
    layer, optimiser = one_step(width, dtype)
    w, state = layer.weight, optimiser.state[layer.weight]
    there = torch.stack([w.detach(), w.grad, state['exp_avg'], state['exp_avg_sq']])
    return 4*width*width*torch.empty(0, dtype=dtype).element_size(), there.numel()*there.element_size()''', '''
    layer, optimiser = one_step(width, dtype)
    parts = [layer.weight, layer.weight.grad] + [t for t in optimiser.state[layer.weight].values() if t.dim() == 2]
    each = 4 if dtype == torch.float32 else 8
    return [16*width**2*each//4, sum(t.numel() for t in parts)*each]'''],
'my_order': ['''
    return 'foreign', 'verbose', 'plain\'''', '''
    return sorted(teachers, reverse=True)''', '''
    order = list(teachers)
    order.reverse()
    return order'''],
'does_it_stay': ['''
    def of(student):
        found = [(right(student.learn_from(t, steps)), t) for t in pair]
        (m, name), (n, _) = sorted(found, key=lambda x: x[0].sum(), reverse=True)
        return name, lead(m, n)
    (a, x), (b, y) = of(starts['base']), of(starts[second])
    word = 'undecided'
    if not x.tied and not y.tied: word = 'stays' if a == b else 'changes'
    return (a, b), (x.value*100, y.value*100), word''', '''
    names, gaps = [], []
    for s in ('base', second):
        plain, foreign = (right(starts[s].learn_from(t, steps=steps)) for t in pair)
        ahead = plain.mean() >= foreign.mean()
        names.append('plain' if ahead else 'foreign')
        gaps.append(lead(plain, foreign) if ahead else lead(foreign, plain))
    sure = not (gaps[0].tied or gaps[1].tied)
    same = 'stays' if len(set(names)) == 1 else 'changes'
    return names, np.array([g.value for g in gaps])*100, same if sure else 'undecided\'''', '''
    out = []
    for student in starts['base'], starts[second]:
        sums = {t: right(student.learn_from(t, steps=steps)) for t in pair}
        better = max(pair, key=lambda t: sums[t].sum())
        other, = [t for t in pair if t != better]
        d = lead(sums[better], sums[other])
        out.append((better, 100*d.value, d.lo > 0 or d.hi < 0))
    names, points, sure = zip(*out)
    return names, list(points), 'undecided' if not all(sure) else 'changes' if names[0] != names[1] else 'stays\''''],
'my_falls': ['''
    return [2, 2]''', '''
    return -3.5, np.float32(.5)''', '''
    same = 1
    return same, same'''],
'rate_or_steps': ['''
    at = lambda r, n: unseen(lab_at(r*lr).base.learn_from(traces, n*steps))
    given, rate, more = at(1, 1), at(2, 1), at(1, 2)
    mean, lo, hi = t_interval(more - rate)
    word = 'steps' if hi < 0 else 'rate' if lo > 0 else 'undecided'
    return {'steps': more.mean(), 'rate': rate.mean(), 'given': given.mean()}, word''', '''
    given = lab_at(lr).base.learn_from(traces, steps)
    losses = [unseen(s) for s in (given, lab_at(lr + lr).base.learn_from(traces, steps),
                                  given.learn_from(traces, steps))]      # the same teacher again: the branch goes on
    _, lo, hi = t_interval(losses[1] - losses[2])
    said = 'undecided' if lo <= 0 <= hi else 'steps' if lo > 0 else 'rate'
    return dict(zip(('given', 'rate', 'steps'), [x.mean() for x in losses])), said''', '''
    from scipy.stats import sem, t
    mean = {}
    for k, r, n in (('given', lr, steps), ('rate', 2*lr, steps), ('steps', lr, 2*steps)):
        mean[k] = unseen(lab_at(r).base.learn_from(traces, steps=n))
    d = mean['rate'].astype(float) - mean['steps']
    z = d.mean()/sem(d)/t.ppf(.975, len(d) - 1)
    return {k: np.mean(x) for k, x in mean.items()}, 'steps' if z > 1 else 'rate' if z < -1 else 'undecided\''''],
'my_loss': ['''
    return 0''', '''
    return np.float64(4.2)''', '''
    return (.223 + .267)/2'''],
'meet': ['''
    branches = [starts[s].learn_from(t, steps) for s, t in zip(('base', second), teachers)]
    found = [loss(s, teachers) for s in [*branches, lab.merge(branches)]]
    barrier = found[2] - np.mean(found[:2])
    return found, barrier, ('no barrier', 'a barrier')[int(barrier > 0)]''', '''
    a = lab.base.learn_from(teachers[0], steps=steps)
    b = starts[second].learn_from(teachers[1], steps=steps)
    key = f'own {teachers} {second} {steps}'
    bench.made[key] = bench.made[a.key]/2 + bench.made[b.key]/2
    x, y, z = loss(a, teachers), loss(b, teachers), loss(Student(lab, key), teachers)
    return (x, y, z), z - x/2 - y/2, 'a barrier' if 2*z > x + y else 'no barrier\'''', '''
    students = {}
    for name, start, teacher in (('a', 'base', teachers[0]), ('b', second, teachers[1])):
        students[name] = starts[start].learn_from(teacher, steps=steps)
    students['mean'] = mot.merge([*students.values()], by='mean', weights=[.5, .5])
    a, b, mean = [loss(s, teachers) for s in students.values()]
    return [a, b, mean], ((mean - a) + (mean - b))/2, 'no barrier' if mean - a <= b - mean else 'a barrier\''''],
'my_leads': ['''
    return 0, 0''', '''
    return [-5, 12.5]''', '''
    return np.float64(3), np.int64(30)'''],
'what_it_costs': ['''
    branches = [1, 2, *[3]*rounds][:rounds]
    lab = toy_lab(rounds, steps)
    few = merge_of_thought(lab, introduce=one_more)
    work = few.work
    return steps*sum(branches), work, points(few) - points(merge_of_thought(toy_lab(rounds, steps)))''', '''
    predicted = 0
    for t in range(rounds): predicted += (1, 2, 3)[min(t, 2)]*steps
    all_ = points(merge_of_thought(toy_lab(rounds, steps)))
    few = toy_lab(rounds, steps)
    student = one_by_one(few)
    return [predicted, student.work, points(student) - all_]''', '''
    told = steps*(3*rounds - 3) if rounds > 1 else steps
    lab = toy_lab(rounds, steps)
    lab.ask('mot', introduce=one_more)
    student = lab.marks[-1].student
    return told, float(student.work), points(student) - points(merge_of_thought(lab))'''],
'mot_minus': ['''
    from scipy.stats import sem, t
    labs = open_labs(rounds, steps)
    for lab in labs: methods.merge_of_thought(lab)
    for lab in labs: {'oneshot': methods.one_shot, 'mtd': methods.union}[opponent](lab)
    other = {'oneshot': 'oneshot', 'mtd': f'mtd-compute-r{rounds}'}[opponent]
    d = np.array([s[f'mot-r{rounds}'] - s[other] for s in scores(labs)])
    half = t.ppf(.975, len(d) - 1)*sem(d)
    word = 'undecided' if abs(d.mean()) <= half else 'ahead' if d.mean() > 0 else 'behind'
    return d.mean(), d.mean() - half, d.mean() + half, word''', '''
    d = []
    for lab in open_labs(rounds, steps):
        lab.ask('mot')
        lab.ask(opponent)
        s, = scores([lab])
        mine = [v for k, v in s.items() if k.startswith('mot')]
        other = [v for k, v in s.items() if k.startswith(('oneshot', 'mtd-compute'))]
        d.append(mine[-1] - other[-1])
    mean, lo, hi = t_interval(d)
    if lo > 0: return mean, lo, hi, 'ahead'
    return [mean, lo, hi, 'behind' if hi < 0 else 'undecided']''', '''
    labs = open_labs(rounds, steps)
    for lab in labs: [lab.ask(m) for m in ('mtd', 'oneshot', 'mot')]
    table = scores(labs)
    name = opponent if opponent == 'oneshot' else 'mtd-compute-r' + str(rounds)
    mine, other = ([row[k] for row in table] for k in (f'mot-r{rounds}', name))
    found = t_interval(np.subtract(mine, other))
    return *found, 'undecided' if found[1] <= 0 <= found[2] else 'ahead' if found[0] > 0 else 'behind\'''']}

# function -> [(words of the solution, what stands there instead, words of the hint)]
MISTAKES = {'highest_of': [('.max(1)', '.min(1)', 'lowest'),
                            ('.max(1)', '', 'mean of all draws'),
                            ('.max(1).mean()', '.max()', 'of all repeats'),
                            ('.max(1)', '.max(0)', 'wrong axis'),
                            ('normal(size', 'random(size', 'uniform'),
                            ('default_rng(seed)', 'default_rng(0)', 'two seeds')],
             'standard_errors': [('ddof=1', 'ddof=0', 'divides by n in the variances'),
                                 ('(a - b)', '(a + b)', 'adds the paired answers'),
                                 ('np.sqrt(a.var(ddof=1)/n + b.var(ddof=1)/n)',
                                  '(a.std(ddof=1) + b.std(ddof=1))/np.sqrt(n)',
                                  'adds the two standard errors'),
                                 ('/np.sqrt(n)', '/n', '[1]')],
             'losses_of': [('at - 1', 'at', 'forgets the shift'),
                           ('-log_p[', 'log_p[', 'is the log-probability'),
                           ('logits, -1', 'logits, 0', 'over the tokens'),
                           ('torch.log_softmax(logits, -1)', 'logits', 'takes logits'),
                           ('arange(row.n_prompt,', 'arange(1,', 'counts the prompt'),
                           ('arange(row.n_prompt,', 'arange(row.n_prompt + 1,', 'leaves out the first')],
             'both_means': [('torch.cat(each).mean()',
                             'torch.stack([e.mean() for e in each]).mean()',
                             'twice the mean of row means'),
                            ('torch.cat(each).mean()', 'torch.cat(each).sum()', 'adds up the losses'),
                            ('each]).mean()', 'each]).sum()', 'adds up the row means')],
             'factor': [("weight('plain')/weight('checker')",
                         "weight('checker')/weight('plain')",
                         'turns the ratio round'),
                        (' - r.n_prompt', '', 'counts the prompt'),
                        ('sum(1/x for x in n)/len(n)', 'len(n)/sum(n)', 'divides mean lengths'),
                        (')/len(n)', ')', 'adds up over rows')],
             'mean_of': [('(w/total)', 'w', 'does not divide'),
                         ('.double()', '', 'float32'),
                         ('w/total', '1/len(weights)', 'ignores the weights'),
                         ('w/total', 'w/len(weights)', 'divides by the number')],
             'shrinkage': [('**.5', '', 'squared length'),
                           ('(K - 1)*c', 'K*c', 'K partners'),
                           ('1 + (K', '(K', 'with itself'),
                           ('1 + (K - 1)*c', '1', 'leaves out the cosine')],
             'two_means': [('B @ A for', 'A @ B for', ''),
                           ('/len(As), (', ', (', 'adds up the products'),
                           ('(sum(As)/len(As))', 'sum(As)', 'by K once'),
                           ('sum(B @ A for A, B in zip(As, Bs))/len(As), ',
                            '(sum(Bs)/len(Bs)) @ (sum(As)/len(As)), ',
                            'product of the means twice')],
             'merge_of_thought': [('trained(k, student, t*E)', 'trained(k, base, t*E)', 'begins every branch at base'),
                                  ('t*E', '0', 'at step 0'),
                                  ('student, t*E', 'student, t', 'at step t'),
                                  ('range(T)', 'range(T - 1)', 'early'),
                                  ('range(T)', 'range(T + 1)', 'too many')],
             'budgets': [('T*E, T*E*K', 'T*E*K, T*E', 'wrong order'),
                         ("'mot reads': compute", "'mot reads': depth", 'what one branch reads'),
                         ('*batch', '', 'counts steps'),
                         ('T*E, T*E*K', 'E, E*K', 'forgets the rounds')],
             'counts': [('(before & ~after)', '(before & after)', 'stayed right as forgotten'),
                        ('after.mean() - before.mean()', 'before.mean() - after.mean()', 'before minus after'),
                        ('.mean() - before.mean()', '.sum() - before.sum()', 'net number'),
                        ('before & ~after', 'before | ~after', 'right once')],
             'p_of_change': [('2*sum', 'sum', 'one-sided'),
                             ('min(1., 2*sum(comb(n, i) for i in range(k + 1))/2**n)',
                              '2*sum(comb(n, i) for i in range(k + 1))/2**n',
                              'exceed 1'),
                             ('k + 1', 'k', 'leaves out the count'),
                             ('min(forgotten', 'max(forgotten', 'larger count')],
             'problems_needed': [(', sd=sd', '', 'ignores sd'),
                                 ('return n', 'return n - 1', 'too few'),
                                 ('return n', 'return n + 1', 'too many')],
             'change': [('log_p(after) - log_p(before)', 'log_p(before) - log_p(after)', 'before minus after'),
                        ('torch.log_softmax(z.float(), -1)', 'z', 'takes logits'),
                        ('log_softmax', 'softmax', 'takes probabilities'),
                        ('(), -1)', '(), 0)', 'over the tokens')],
             'auc': [('.5*', '', 'ties as whole'),
                     (' + .5*(q == s)', '', 'does not count ties'),
                     ('q < s', 'q > s', 'higher')],
             'interval': [('[.025, .975]', '[.05, .95]', '5 %'),
                          ('[.025, .975]', '[.975, .025]', 'upper end first'),
                          ('names = np.random.default_rng(seed), np.unique(problem)',
                           'problem = np.random.default_rng(seed), np.arange(len(problem))\n    names = problem',
                           'draws tokens'),
                          ('default_rng(seed)', 'default_rng(0)', 'two seeds')],
             'normalised': [('dim=1', 'dim=0', 'columns'),
                            ('weights.norm(dim=1, keepdim=True)', '1', 'length 1'),
                            ('/d.norm(dim=1, keepdim=True)', '', 'does not divide'),
                            ('dim=1, keepdim=True', '', 'whole')],
             'height': [(' - (1 - x)*losses[0] - x*losses[-1]', ' - losses[0]', 'first end'),
                        ('.max()', '.min()', 'lowest place'),
                        ('.max()', '.mean()', 'mean rise'),
                        ('(1 - x)*losses[0] - x*losses[-1]', 'x*losses[0] - (1 - x)*losses[-1]', 'turns the line')],
             'lost': [('(weights.float() + step).bfloat16().float() - weights.float()',
                       'step.bfloat16().float()',
                       'rounds the step alone'),
                      ('.bfloat16().float()', '', 'never rounds'),
                      ('(step - taken).norm()', 'taken.norm()', 'share that is taken'),
                      ('/step.norm()', '/weights.float().norm()', 'length of the weights')],
             'walk': [('d - eta', 'd + eta', 'uphill'),
                      (' + H @ d', '', 'gradient at the start'),
                      ('range(E)', 'range(E + 1)', 'too many'),
                      ('eta*(', '(', 'forgets eta')],
             'lowest': [('argmin', 'argmax', 'highest'),
                        ('x[s_E(x, 1, E).argmin()]', 's_E(x, 1, E).min()', 'lowest value'),
                        ('x[s_E(x, 1, E).argmin()]', 's_E(x, 1, E).argmin()', 'number of the place')],
             'smallest_E': [('E = 1', 'E = 2', 'near enough at once'),
                            ('>= near', '>= .1', 'ignores near'),
                            ('return E', 'return E - 1', 'too few'),
                            ('[1])', '[0])', 'takes more than')],
             'pull': [(' - curvature', '', 'is 1/s'),
                      (' - curvature', ' + curvature', 'adds the curvature'),
                      ('1/float', 'float', 'takes s for 1/s')],
             'busy': [('math.ceil', 'math.floor', 'down'),
                      ('math.ceil(K/groups)', 'K/groups', 'does not round'),
                      ('*groups', '', 'leaves out the groups')],
             'fixed_bytes': [('/shards', '', 'does not divide by shards'),
                             ('8*P', '4*P', 'one of Adam'),
                             ('/shards', '*shards', 'multiplies by shards')],
             'share_kept': [('.mean(0).norm()', '.norm(dim=1).mean()', ''),
                            (' / gradients.norm(dim=1).mean()', '', 'is the length of the mean'),
                            ('dim=1).mean()', 'dim=1).sum()', 'adds up the lengths'),
                            ('dim=1', 'dim=0', 'columns'),
                            ('gradients.mean(0)', 'gradients.sum(0)', 'adds up the gradients')],
             'outvoted': [('<=', '<', 'a tie for a win'),
                          (' if a != right', '', 'compares with all'),
                          ('<=', '>', 'opposite')],
             'predict_then_train': [('return told, row', 'return row, told', 'row first'),
                                    ('rounds, steps)\n', 'steps, rounds)\n', 'mixes up'),
                                    ('row, =', 'row =', 'no single row'),
                                    ('world, seed, 8', 'world, 0, 8', 'another seed'),
                                    ('seed), 20', 'seed), 10', 'another number')],
             'brier': [(' ** 2', '', 'signed'), ('np.mean', 'np.sum', 'adds up'),
                       (' - np', ' + np', 'adds predictions')],
             'trust': [('1 / np.asarray(losses, dtype=float)',
                        'np.asarray(losses, dtype=float)',
                        'proportional to the loss'),
                       (' / inverse.sum()', '', 'not divided'),
                       ('inverse.sum()', 'inverse.max()', 'largest'),
                       ('inverse.sum()', 'len(losses)', 'number of branches')],
             'one_by_one': [('[:t + 1]', '', 'all teachers'),
                            ('t + 1', 't', 'no teacher'),
                            ('t + 1', 't + 2', 'two teachers'),
                            ('lab.train(student, k)', 'lab.train(lab.base, k)', 'every branch at base'),
                            ('[:t + 1]', '[t:t + 1]', 'one teacher a round')],
             'verdict': [(' and ', ' or ', 'one end'),
                         ("'ahead' if", "'behind' if", ''),
                         ('margin < lo', '3 < lo', ''),
                         ("'undecided'", "'equal'", 'where it is undecided')],
             'vote': [('max(', 'min(', 'rarest'),
                      (', key=finals.count', '', 'largest answer'),
                      ('max(finals', 'max(finals[::-1]', 'equals takes the last'),
                      ('max(finals', 'max(sorted(finals)', 'equals takes the smallest')],
             'seen_or_not': [('<= gap', '> gap', 'says the opposite'),
                             ('marks_after(steps).astype(float) - marks_after(0)',
                              'marks_after(0).astype(float) - marks_after(steps)',
                              'before minus after'),
                             ('(60, sd=sd)', '(60)', 'ignores sd'),
                             ('float(d.mean())', 'float(marks_after(steps).mean())', 'accuracy after training'),
                             ('> 1.96', '< 1.96', '')],
             'who_falls': [('1 if t == taught else -1', '-1 if t == taught else 1', 'predicts the opposite'),
                           ('int(np.sign(mean_change(taught, t)))', 'mean_change(taught, t)', 'changes in nats'),
                           ('told[t] == came[t]', 'told[t] != came[t]', 'where they differ'),
                           ('else -1', 'else 1', 'a rise for all')],
             'twice_the_radius': [('4*increase', '2*increase', 'twice the increase'),
                                  ('return predicted, measured,',
                                   'return measured, predicted,',
                                   'measured one first'),
                                  ("'steeper' if measured > predicted else 'flatter'",
                                   "'flatter' if measured > predicted else 'steeper'",
                                   'mixes up steeper and flatter'),
                                  ('2*radius', '4*radius', 'four times the radius'),
                                  ('2*radius', 'radius', 'at the radius itself')],
             'first_step': [('np.median(np.abs(moves(lr)))', 'np.mean(np.abs(moves(lr)))', 'mean move'),
                            ('np.abs(moves(lr))', 'moves(lr)', 'with their signs'),
                            ('return lr, measured,', 'return measured, lr,', 'measured one first'),
                            ('measured/lr', 'lr/measured', 'turns the ratio round'),
                            ('return lr,', 'return 1.,', 'predicts 1')],
             'bytes_held': [('4*width', '3*width', 'one moment'),
                            ('[w, w.grad, ', '[w, ', 'leaves out the gradient'),
                            ('torch.finfo(dtype).bits//8', '4', 'ignores dtype'),
                            ('width**2', 'width', 'width weights'),
                            (' if t.shape == w.shape', '', 'number of steps')],
'my_order': [
    ("'plain', 'foreign', 'verbose'", "'plain', 'foreign'", 'leaves a teacher out'),
    ("'plain', 'foreign', 'verbose'", "'plain', 'plain', 'verbose'", 'twice'),
    ("['plain', 'foreign', 'verbose']", '[2, 1, 3]', 'is no name'),
    ("'plain'", "'plane'", 'unknown name'),
    ("['plain', 'foreign', 'verbose']", "'plain'", 'no list')],
'does_it_stay': [
    ('starts[second])', "starts['base'])", 'trains copies of the base twice'),
    (', steps=steps', '', 'the steps of the lab'),
    ('-marks[t]', 'marks[t]', 'worse teacher'),
    ('100*', '', 'gives shares'),
    ('any(', 'all(', 'where a lead is tied'),
    ("'undecided' if any(d.tied for d in leads) else ", '', 'where a lead is tied'),
    ("'stays' if names[0] == names[1] else 'changes'",
     "'changes' if names[0] == names[1] else 'stays'",
     'mixes up stays'),
    ('marks[other])', 'right(student))', 'lead over the student itself'),
    ('student.learn_from', "starts['base'].learn_from", 'trains copies of the base twice'),
    ('student.learn_from', 'starts[second].learn_from', 'trains copies of starts[second] twice')],
'my_falls': [
    ('1.5, 1.5', '1.5', 'not two values'),
    ('1.5, 1.5', "'more', 1.5", 'is no number'),
    ('1.5, 1.5', '150, 150', 'out of range'),
    ('1.5, 1.5', '1.5, 1.5, 1.5', 'not two values'),
    ('1.5, 1.5', '1.5, True', 'is no number')],
'rate_or_steps': [
    ('2*lr', 'lr', 'leaves the rate'),
    ('2*steps', 'steps', 'leaves the steps'),
    ('lab_at(lr).base.learn_from(traces, steps=2*steps)',
     'lab_at(2*lr).base.learn_from(traces, steps=2*steps)',
     'branch of more steps too'),
    ('2*lr', 'lr/2', 'half the rate'),
    ('2*steps', '3*steps', 'three times the steps'),
    ('(traces,', "('checker',", 'always trains on checker'),
    ('.mean()', '.sum()', 'adds up the losses'),
    ("losses['rate'] - losses['steps']", "losses['steps'] - losses['rate']", 'mixes up the words'),
    ("'rate' if hi < 0 else 'steps' if lo > 0 else 'undecided'",
     "'rate' if losses['rate'].mean() < losses['steps'].mean() else 'steps'",
     'by the means alone'),
    ('lab_at(lr).base.learn_from(traces, steps=2*steps)',
     'lab_at(lr).base.learn_from(traces, steps=steps).learn_from(traces, steps=2*steps)',
     'three times the steps')],
'my_loss': [
    ('.2', '20', 'out of range'),
    ('.2', '-.2', 'out of range'),
    ('.2', "'lower'", 'no number'),
    ('.2', '[.2, .3]', 'no number'),
    ('.2', 'float("nan")', 'out of range')],
'meet': [
    ('starts[second]', "starts['base']", 'begins both branches at one start'),
    ("starts['base'].learn_from(teachers[0]",
     'starts[second].learn_from(teachers[0]',
     'begins both branches at one start'),
    ('starts[second].learn_from', 'a.learn_from', 'where the first ended'),
    ('teachers[1], steps=steps', 'teachers[1], steps=2*steps', 'twice the steps'),
    (', steps=steps', '', 'the steps of the lab'),
    ('(a, b, mot.merge([a, b]))', '(mot.merge([a, b]), a, b)', 'merge first'),
    ('teachers[1], steps', 'teachers[0], steps', 'both on one teacher'),
    ('(first + last)/2', 'min(first, last)', 'less the lower loss'),
    ('loss(s, teachers)', 'loss(s, teachers[:1])', 'first teacher alone'),
    ("'a barrier' if barrier > 0 else 'no barrier'", "'no barrier' if barrier > 0 else 'a barrier'", 'mixes up')],
'my_leads': [
    ('10, 5', '10', 'not two values'),
    ('10, 5', "'a lot', 5", 'is no number'),
    ('10, 5', '1000, 5', 'out of range'),
    ('10, 5', '10, 5, 1', 'not two values')],
'what_it_costs': [
    ('min(t + 1, 3)', '3', 'MoT with everybody'),
    ('min(t + 1, 3)', '1', 'one branch a round'),
    ('min(t + 1, 3)', '(t + 1)', 'more branches than there are teachers'),
    ('min(t + 1, 3)', 'min(t, 3)', 'no branch in the first round'),
    ('steps*min', 'min', 'predicts branches'),
    ('few.work', 'few.step', 'steps in sequence'),
    ('few.work', 'everybody.work', 'MoT with everybody'),
    ('points(few) - points(everybody)', 'points(everybody) - points(few)', 'MoT minus one more'),
    ('points(few) - points(everybody)', 'points(few)', 'points of one more each round'),
    ('points(few) - points(everybody)', '(points(few) - points(everybody))/100', 'a share')],
'mot_minus': [
    ("f'mot-r{rounds}'", "'mot-r1'", 'first round of MoT'),
    ('compute', 'depth', 'equal depth'),
    ("s[f'mot-r{rounds}'] - s[name]", "s[name] - s[f'mot-r{rounds}']", 'opponent minus MoT'),
    ("s[f'mot-r{rounds}']", "max(v for k, v in s.items() if k.startswith('mot'))", 'best round of MoT'),
    ('lo > 0', 'mean > 0', 'where the interval holds 0'),
    ('for s in scores(labs)]', 'for s in scores(labs[1:])]', 'leaves out the first seed'),
    ("'ahead' if lo > 0 else 'behind' if hi < 0", "'behind' if lo > 0 else 'ahead' if hi < 0", 'mixes up'),
    ('s[name]', "s['base']", 'with the base'),
    ('lo > 0', 'hi > 0', 'where the interval holds 0')]}

# guesses: whatever is of the kind asked is right, so a changed number is no mistake
GUESSES = ('my_order', 'my_falls', 'my_loss', 'my_leads')
