#!/usr/bin/env python3
"""The sampler's algorithm in Python's integers: prints the golden numbers of src/text/sampler/sampler_test.c."""
import math
import struct

MASK = (1 << 64) - 1
BITS = 42


LN2 = 0xB17217F7D1CF79ABC9E3B39803F2F6AF  # units of 2^-128


def exp_units(exponent_ln2_num, exponent_ln2_den):
    """2^(num / den) in units of 2^-62, rounded: a long exact series."""
    x = LN2 * exponent_ln2_num // exponent_ln2_den
    total = term = 1 << 128
    for k in range(1, 40):
        term = (term * x >> 128) // k
        total += term
    return (total + (1 << 65)) >> 66


def series():
    """(ln 2)^k / k! in units of 2^-62, k from 5 down to 0."""
    terms, power = [], 1 << 128
    for k in range(6):
        if k:
            power = (power * LN2 >> 128) // k
        terms.append((power + (1 << 65)) >> 66)
    return terms[::-1]


TERMS = series()
SIXTEENTHS = [exp_units(i, 16) for i in range(16)]


def weight(difference):
    if not difference > -29.2:
        return 0
    exponent = int(difference * float.fromhex("0x1.71547652b82fep+32"))
    fraction = exponent & 0xFFFFFFFF
    total = TERMS[0]
    for term in TERMS[1:]:
        total = term + (total * (fraction & 0x0FFFFFFF) >> 32)
    total = total * SIXTEENTHS[fraction >> 28] >> 62
    return total >> (62 - BITS - (exponent >> 32))


def xoshiro(seed):
    state = []
    for _ in range(4):
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        state.append(z ^ (z >> 31))

    def rotate(x, bits):
        return ((x << bits) | (x >> (64 - bits))) & MASK

    while True:
        yield (rotate((state[1] * 5) & MASK, 7) * 9) & MASK
        t = (state[1] << 17) & MASK
        state[2] ^= state[0]
        state[3] ^= state[1]
        state[1] ^= state[2]
        state[0] ^= state[3]
        state[2] ^= t
        state[3] = rotate(state[3], 45)


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def draw_all(logits, top_p, seed, count):
    order = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    highest = logits[order[0]]
    enough = int(float(sum(weight(x - highest) for x in logits)) * float32(top_p))
    mass, kept = 0, []
    for i in order:
        if kept and mass >= enough:
            break
        kept.append(i)
        mass += weight(logits[i] - highest)
    kept.sort()
    weights = [weight(logits[i] - highest) for i in kept]
    random, drawn = xoshiro(seed), []
    for _ in range(count):
        at = next(random) * sum(weights) >> 64
        for i, w in zip(kept, weights):
            if at < w:
                drawn.append(i)
                break
            at -= w
    return drawn


if __name__ == "__main__":
    assert all(abs(weight(x) - math.exp(x) * 2**BITS) <= 1 + math.exp(x) * 2**BITS * 1e-9 for x in (-0.5, -3, -20))
    print("terms", TERMS)
    print("sixteenths", SIXTEENTHS)
    print("weights", [weight(x) for x in (-1.0, -0.1, -13.37)])
    print("draws", draw_all([float32(i % 17 / 8) for i in range(1000)], 0.9, 42, 8))
