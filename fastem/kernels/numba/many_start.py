"""Where EM on a group begins: several starts are tried for a few iterations each, and the best goes on."""
import math

from fastem.kernels.numba.constants import NO_CHANGE
from fastem.kernels.numba.jit import once, pointwise
from fastem.kernels.numba.many_em import LOWEST_LOGLIK
from fastem.kernels.numba.many_group import CONVERGED, MAX_ITER, padded, sort_pairs
from fastem.kernels.numba.vectors import LANES, broadcast, load, store

TRIAL = 3           # iterations from each start, before the best goes on
FEWEST_ROWS = 3.0   # of a part of the values; of so few the variance is drawn to that of all
UNSEEN = 1e-12      # a rate or p (1 - p) below it has that precision
BY_GAIN = 1         # what tol is of: what is left to gain, a total; else of the last change of the mean

MIDDLE, ALL_MASS, VARIANCE, EXCESS, FEWEST, PER_ROW, LOWEST, HIGHEST, ADDED = range(9)  # facts, as in the Group of
#                                                                              `many_group.pxi`; ADDED is its reg_covar


# ---------------------------------------------------------------------------------------------------- sorted rows

@pointwise
def bucket(value, low, scale, n):
    return min(n - 1, int((value - low) * scale))


@once
def sort_rows(n, pairs, before):
    """Keys and masses, by as many buckets as there are rows, each of which is sorted: a fifth of the time."""
    (key, mass), (ends, keys, masses, _) = pairs, before
    low, high = math.inf, -math.inf
    for i in range(n):
        low, high = min(low, key[i]), max(high, key[i])
        ends[i], keys[i], masses[i] = 0.0, key[i], mass[i]
    scale = (n - 1) / (high - low) if high > low else 0.0
    if not scale < math.inf:
        sort_pairs(key, mass, n)
        return
    for i in range(n):
        ends[bucket(keys[i], low, scale, n)] += 1.0
    for i in range(1, n):
        ends[i] += ends[i - 1]
    for i in range(n - 1, -1, -1):
        at = bucket(keys[i], low, scale, n)
        ends[at] -= 1.0
        key[int(ends[at])], mass[int(ends[at])] = keys[i], masses[i]
    for i in range(n):
        begin, end = int(ends[i]), int(ends[i + 1]) if i + 1 < n else n
        if end - begin > 1:
            sort_pairs(key[begin:end], mass[begin:end], end - begin)


@once
def sum_up(n, pairs, before, facts, has_spread):
    """Sums over the sorted rows before each, and after the last of them, about their mean."""
    (key, mass), (zeroth, moment, square, _) = pairs, before
    total = first = second = fourth = 0.0
    for i in range(n):
        total += mass[i]
        first += mass[i] * (key[i] - key[0])
    facts[MIDDLE] = key[0] + (first / total if total > 0.0 else 0.0)
    total = first = 0.0
    for i in range(n):
        zeroth[i], moment[i], square[i] = total, first, second
        delta = key[i] - facts[MIDDLE]
        part = mass[i] * delta
        total, first, second = total + mass[i], first + part, second + part * delta
        fourth += part * delta * (delta * delta)
    zeroth[n], moment[n], square[n] = total, first, second
    facts[ALL_MASS], facts[VARIANCE] = total, second / total if total > 0.0 else 0.0
    facts[EXCESS] = fourth * total / (second * second) - 3.0 if second > 0.0 else 0.0
    facts[FEWEST] = min(FEWEST_ROWS, 0.25 * total) if has_spread else 0.0


def cut_parts_of(part_gain):
    """Return how sorted rows are cut in parts, by what a part gains:

    part_gain(facts, mass, moment, square) -> the log likelihood, base 2, of the rows of a part
    """

    @once
    def best_cut(part, parts, key, before, facts):
        """Cuts a part of the sorted rows in two, so that the likelihood of the classified rows gains most."""
        (edges, cut, cut_gain), (zeroth, moment, square, gain) = parts, before
        begin, end = int(edges[part]), int(edges[part + 1])
        a, b, c = zeroth[begin], moment[begin], square[begin]
        all_mass, all_moment, all_square = zeroth[end], moment[end], square[end]
        store(gain[begin:], 0, part_gain(facts, broadcast(all_mass - a), broadcast(all_moment - b),
                                         broadcast(all_square - c)))
        whole = gain[begin]
        for i in range(padded(end - begin) // LANES):
            m, f, s = load(zeroth[begin:], i), load(moment[begin:], i), load(square[begin:], i)
            store(gain[begin:], i, part_gain(facts, m - a, f - b, s - c)
                  + part_gain(facts, all_mass - m, all_moment - f, all_square - s))
        cut[part], cut_gain[part] = begin, -math.inf
        for i in range(begin + 1, end):
            if (gain[i] - whole > cut_gain[part] and key[i - 1] < key[i] and zeroth[i] - a >= facts[FEWEST]
                    and all_mass - zeroth[i] >= facts[FEWEST]):
                cut[part], cut_gain[part] = i, gain[i] - whole

    @once
    def cut_parts(n, k, parts, key, before, facts):
        """edges <- of k parts of the sorted rows, cut where that gains most.  -> could they be cut?"""
        edges, cut, cut_gain = parts
        edges[0], edges[1], count = 0, n, 1
        if k > 1:
            best_cut(0, parts, key, before, facts)
        while count < k:
            best = 0
            for part in range(1, count):
                if cut_gain[part] > cut_gain[best]:
                    best = part
            if not cut_gain[best] > -math.inf:
                return False
            for part in range(count, best, -1):
                edges[part + 1] = edges[part]
                if part > best + 1:
                    cut[part], cut_gain[part] = cut[part - 1], cut_gain[part - 1]
            edges[best + 1] = cut[best]
            count += 1
            if count < k:
                best_cut(best, parts, key, before, facts)
                best_cut(best + 1, parts, key, before, facts)
        return True

    return cut_parts


@pointwise
def part_sum(sums, edges, c):
    return sums[int(edges[c + 1])] - sums[int(edges[c])]


@pointwise
def parts_of_rates(edges, before, facts, params):
    """What families of counts share."""
    (shares, rates, _), (zeroth, moment, _, _) = params, before
    for c in range(len(shares)):
        mass = part_sum(zeroth, edges, c)
        shares[c] = mass / facts[ALL_MASS]
        rates[c] = facts[MIDDLE] + (part_sum(moment, edges, c) / mass if mass > 0.0 else 0.0)


@pointwise
def no_spreads(facts, params):
    """Counts have no spread of their own."""


# ------------------------------------------------------------------------------------------------- parameters kept

@pointwise
def keep(kept, which, params):
    shares, location, spread = params
    k = len(shares)
    for c in range(k):
        kept[which, c], kept[which, k + c], kept[which, 2 * k + c] = shares[c], location[c], spread[c]


@pointwise
def restore(kept, which, params):
    shares, location, spread = params
    k = len(shares)
    for c in range(k):
        shares[c], location[c], spread[c] = kept[which, c], kept[which, k + c], kept[which, 2 * k + c]


@pointwise
def nothing_given(params):
    for values in params:
        for c in range(len(values)):
            if not math.isnan(values[c]):
                return False
    return True


@pointwise
def forget(params):
    for values in params:
        values[:] = math.nan


@pointwise
def moved(kept, at, now, step):
    first, second = kept[0, at], kept[1, at]
    return first + 2.0 * step * (second - first) + step * step * (now - 2.0 * second + first)


@once
def in_reach(kept, facts, params, step):
    shares, location, _ = params
    k = len(shares)
    for c in range(k):
        place = moved(kept, k + c, location[c], step)
        if not facts[LOWEST] < place < facts[HIGHEST] and place != location[c]:
            return False
        if shares[c] > 0.0 and not moved(kept, c, shares[c], step) > 0.1 * shares[c]:
            return False
    return True


@once
def move(kept, params, step):
    shares, location, spread = params
    k, total = len(shares), 0.0
    for c in range(k):
        if not shares[c] > 0.0:
            continue
        first = math.log(kept[1, 2 * k + c] / kept[0, 2 * k + c])
        second = math.log(spread[c] / kept[1, 2 * k + c])
        by = 2.0 * step * first + step * step * (second - first)
        spread[c] = kept[0, 2 * k + c] * math.exp(min(max(by, -20.0), 20.0))
        location[c] = moved(kept, k + c, location[c], step)
        shares[c] = moved(kept, c, shares[c], step)
        total += shares[c]
    for c in range(k):
        shares[c] /= total


@pointwise
def geometric(before, last, loglik):
    """As aitken.still_to_gain."""
    if abs(last) <= NO_CHANGE * abs(loglik):
        return 0.0
    return last * last / (before - last) if 0.0 <= last < before else math.inf


# ------------------------------------------------------------------------------------------------------------ EM

def search_of(sweep, make_tables, maximize, precision, part_gain, from_parts, from_blocks, from_spreads, has_spread):
    """Return (search, finish): EM on one group from the best of several starts, and from parameters as they are.

    sweep is of `many_em.sweep_of`; precision(facts, params, c) -> information of one row about the location of a
    component; from_parts(edges, before, facts, params), from_blocks(n, pairs, found, facts, params) and
    from_spreads(facts, params) are starts.
    """
    cut_parts = cut_parts_of(part_gain)

    @once
    def total_at(params, n, group, tables, sums, lanes):
        """-> log likelihood, with the sums of the sweep."""
        make_tables(params, tables)
        return sweep(n, group, tables, sums, lanes)

    @once
    def length(kept, facts, params, a, b, c):
        """Squared, of a kept[0] + b kept[1] + c parameters, by the information of the classified rows."""
        shares, location, spread = params
        k, found = len(shares), 0.0
        for i in range(k):
            if not shares[i] > 0.0:
                continue
            share = a * kept[0, i] + b * kept[1, i] + c * shares[i]
            place = a * kept[0, k + i] + b * kept[1, k + i] + c * location[i]
            found += share * share / shares[i] + shares[i] * precision(facts, params, i) * place * place
            if has_spread:
                variance = (a * kept[0, 2 * k + i] + b * kept[1, 2 * k + i]) / spread[i] + c
                found += 0.5 * shares[i] * variance * variance
        return found

    @pointwise
    def left_to_gain(kept, facts, params, gain, loglik):
        """As of a geometric series: steps fall by a factor, gains by its square."""
        if abs(gain) <= NO_CHANGE * abs(loglik):
            return 0.0
        last = length(kept, facts, params, 0.0, -1.0, 1.0)
        before = length(kept, facts, params, -1.0, 1.0, 0.0)
        return abs(gain) * last / (before - last) if last < before else math.inf

    @pointwise
    def extrapolate(kept, facts, params):
        """Parameters <- kept[0] + 2 step r + step^2 v, with r the first difference, v the second; -> have they moved?

        Variances go by their logarithms.  A step to weights or locations out of their range is halved.
        """
        step = math.sqrt(length(kept, facts, params, -1.0, 1.0, 0.0) / length(kept, facts, params, 1.0, -2.0, 1.0))
        for _ in range(8):
            if not 1.01 < step < math.inf:
                return False
            if in_reach(kept, facts, params, step):
                move(kept, params, step)
                return True
            step = 0.5 * (step + 1.0)
        return False

    @once
    def climb(n, total, rules, most, group, tables, sums, lanes, kept, facts, params):
        """EM until what is left to gain is below tol, `most` iterations at the most.

        -> the last log likelihood known, has it converged, iterations.  Accelerated, every two iterations are
        extrapolated as by SQUAREM (Varadhan and Roland 2008).
        """
        tol, by_gain, accelerated = rules
        done, phase, previous, before = 0, 0, -math.inf, -math.inf
        extrapolated = converged = False
        while done < most and not converged:
            loglik = total_at(params, n, group, tables, sums, lanes)
            if extrapolated and not loglik >= previous - NO_CHANGE * abs(previous):
                restore(kept, 2, params)
                phase, extrapolated = 0, False
                continue
            keep(kept, phase, params)
            maximize(sums, params, facts[ADDED])
            done += 1
            distance = math.inf if by_gain else abs(loglik - previous) / total
            if by_gain and not accelerated and done > 2:
                distance = geometric(previous - before, loglik - previous, loglik)
            if by_gain and accelerated and phase == 1:
                distance = left_to_gain(kept, facts, params, loglik - previous, loglik)
            before, previous, extrapolated = previous, loglik, False
            converged = distance < tol
            if accelerated and phase == 1 and not converged:
                if done < most:
                    keep(kept, 2, params)
                    extrapolated = extrapolate(kept, facts, params)
                phase = 0
            else:
                phase = 1
        return previous, converged, done

    @once
    def finish(n, total, rules, max_iter, done, converged, group, tables, sums, lanes, kept, facts, params):
        """EM to its end; the last sweep is at the parameters it leaves.  -> status, log likelihood, iterations"""
        if not converged:
            most = max_iter - done
            _, converged, more = climb(n, total, rules, most, group, tables, sums, lanes, kept, facts, params)
            done += more
        loglik = max(total_at(params, n, group, tables, sums, lanes), LOWEST_LOGLIK)
        return CONVERGED if converged else MAX_ITER, loglik, done

    @once
    def search(n, total, rules, max_iter, group, pairs, before, tables, found, sums, lanes, kept, parts, facts, params):
        """A few iterations from each start, and then on from the best of them."""
        k, few, best, done, converged = len(found), min(TRIAL, max_iter), -math.inf, 0, False
        sum_up(n, pairs, before, facts, has_spread)
        for start in range(1 if k == 1 else 3 if k == 2 and has_spread and facts[EXCESS] > 0.0 else 2):
            if start == 0:
                if not cut_parts(n, k, parts, pairs[0], before, facts):
                    continue
                from_parts(parts[0], before, facts, params)
            elif start == 1:
                from_blocks(n, pairs, found, facts, params)
            else:
                from_spreads(facts, params)
            its, there = 0, False
            if few > 0:
                loglik, there, its = climb(n, total, rules, few, group, tables, sums, lanes, kept, facts, params)
            else:
                loglik = total_at(params, n, group, tables, sums, lanes)
            if loglik > best or not best > -math.inf:
                best, done, converged = loglik, its, there
                keep(kept, 3, params)
        restore(kept, 3, params)
        return finish(n, total, rules, max_iter, done, converged, group, tables, sums, lanes, kept, facts, params)

    return search, finish
