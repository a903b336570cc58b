/* silu: x * sigmoid(x), with sigmoid also spelled 1 / (1 + exp(-x)).
 * gelu_erf: 0.5 x (1 + erf(x / sqrt(2))).
 * gelu_tanh: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), with the inner sum also as x (1 + 0.044715 x^2).
 * The factors may stand in any order and the constants on any factor. */
#include "passes/match.h"
#include "passes/pass.h"

#define SQRT_HALF 0.70710678118654752440
#define SQRT_2_OVER_PI 0.79788456080286535588
#define CUBIC 0.044715

/* v is 1 + y, read once: y, otherwise 0. */
static qn_value one_plus(const struct qn_rewrite *r, qn_value v)
{
    qn_value other;
    double scalar;
    qn_node n = qn_match_inner(r, v, QN_OP_add);
    return n && qn_match_with_scalar(r, n, &other, &scalar) && scalar == 1 ? other : 0;
}

/* v is 1 + exp(-x): x, otherwise 0. */
static qn_value one_plus_exp_neg(const struct qn_rewrite *r, qn_value v)
{
    qn_value exponential = one_plus(r, v);
    qn_node n = exponential ? qn_match_inner(r, exponential, QN_OP_exp) : 0;
    n = n ? qn_match_inner(r, qn_match_input(r, n, 0), QN_OP_neg) : 0;
    return n ? qn_match_input(r, n, 0) : 0;
}

/* v is coefficient * x^power */
static bool monomial(const struct qn_rewrite *r, qn_value v, qn_value x, double *coefficient, int *power)
{
    struct qn_match_product p;
    double exponent;
    if (v == x) {
        *coefficient = 1;
        *power = 1;
        return true;
    }
    if (r->uses[v] != 1 || !qn_match_product(r, v, &p) || p.divisor_count)
        return false;
    *coefficient = p.scale;
    *power = 0;
    for (uint32_t i = 0; i < p.factor_count; i++) {
        qn_node n = qn_match_inner(r, p.factors[i], QN_OP_pow);
        bool is_power = n && qn_match_input(r, n, 0) == x && qn_match_scalar(r, qn_match_input(r, n, 1), &exponent);
        if (p.factors[i] == x)
            *power += 1;
        else if (is_power && (exponent == 2 || exponent == 3))
            *power += (int)exponent;
        else
            return false;
    }
    return true;
}

/* sum is scale * (a x^low + b x^high) with b / a = CUBIC, high = low + 2; gives scale * a. */
static bool cubic_sum(const struct qn_rewrite *r, qn_value sum, qn_value x, int low, double *scale)
{
    double coefficients[2];
    int powers[2];
    qn_node n = qn_match_inner(r, sum, QN_OP_add);
    if (!n)
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        qn_value term = qn_match_input(r, n, i);
        if (qn_match_scalar(r, term, &coefficients[i]))
            powers[i] = 0;
        else if (!monomial(r, term, x, &coefficients[i], &powers[i]))
            return false;
    }
    uint32_t first = powers[0] == low ? 0 : 1;
    *scale *= coefficients[first];
    return powers[first] == low && powers[1 - first] == low + 2 &&
           qn_match_near(coefficients[1 - first], CUBIC * coefficients[first]);
}

/* v is sqrt(2/pi) (x + CUBIC x^3) */
static bool tanh_argument(const struct qn_rewrite *r, qn_value v, qn_value x)
{
    struct qn_match_product p;
    bool fits;
    if (r->uses[v] != 1 || !qn_match_product(r, v, &p) || p.divisor_count)
        return false;
    if (p.factor_count == 1) {
        fits = cubic_sum(r, p.factors[0], x, 1, &p.scale);
    } else {
        fits = p.factor_count == 2 && (p.factors[0] == x || p.factors[1] == x);
        fits = fits && cubic_sum(r, p.factors[p.factors[0] == x ? 1 : 0], x, 0, &p.scale);
    }
    return fits && qn_match_near(p.scale, SQRT_2_OVER_PI);
}

/* v is x / sqrt(2) */
static bool erf_argument(const struct qn_rewrite *r, qn_value v, qn_value x)
{
    double coefficient;
    int power;
    return v != x && monomial(r, v, x, &coefficient, &power) && power == 1 && qn_match_near(coefficient, SQRT_HALF);
}

/* gate * x, or x / gate: the activation it is, QN_OP_NONE when none. */
static uint16_t gated(const struct qn_rewrite *r, qn_value x, qn_value gate, double scale)
{
    qn_node n;
    if (scale == 1)
        return (n = qn_match_inner(r, gate, QN_OP_sigmoid)) && qn_match_input(r, n, 0) == x ? QN_OP_silu : QN_OP_NONE;
    qn_value inner = scale == 0.5 ? one_plus(r, gate) : 0;
    if (!inner)
        return QN_OP_NONE;
    if ((n = qn_match_inner(r, inner, QN_OP_erf)) && erf_argument(r, qn_match_input(r, n, 0), x))
        return QN_OP_gelu_erf;
    if ((n = qn_match_inner(r, inner, QN_OP_tanh)) && tanh_argument(r, qn_match_input(r, n, 0), x))
        return QN_OP_gelu_tanh;
    return QN_OP_NONE;
}

static bool match_activation(const struct qn_rewrite *r, qn_node root, struct qn_match *match)
{
    struct qn_match_product p;
    uint16_t op = qn_graph_node(r->from, root)->op, found = QN_OP_NONE;
    qn_value x = 0;
    if ((op != QN_OP_mul && op != QN_OP_div) || !qn_match_product(r, qn_match_result(r, root), &p))
        return false;
    if (p.factor_count == 1 && p.divisor_count == 1 && p.scale == 1) {
        x = p.factors[0];
        found = one_plus_exp_neg(r, p.divisors[0]) == x ? QN_OP_silu : QN_OP_NONE;
    }
    for (uint32_t i = 0; i < 2 && p.factor_count == 2 && p.divisor_count == 0 && !found; i++) {
        x = p.factors[i];
        found = gated(r, x, p.factors[1 - i], p.scale);
    }
    if (!found || !qn_type_equal(qn_match_type(r, x), qn_match_type(r, qn_match_result(r, root))))
        return false;
    qn_match_set(match, found, &x, 1);
    return true;
}

qn_status qn_pass_fuse_activation(const struct qn_graph *from, struct qn_graph *to)
{
    return qn_rewrite_run(from, to, match_activation);
}
