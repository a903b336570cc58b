/* Every kernel of the table against what its op means: see conformance/conformance.h. Prints op x type x ISA as ran or
 * skipped. QN_CONFORMANCE=<kernel name> runs that kernel alone, QN_MUTATE=<kernel name> falsifies it;
 * --list prints the kernels. */
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/conformance.h"
#include "conformance/graph_ops.h"
#include "platform/cpu.h"

static void (*const families[QN_FAMILY_LIMIT])(struct cf *cf) = {
    [QN_FAMILY_MATMUL] = cf_matmul,
    [QN_FAMILY_BATCH_MATMUL] = cf_batch_matmul,
    [QN_FAMILY_ATTENTION] = cf_attention,
    [QN_FAMILY_NORM] = cf_norm,
    [QN_FAMILY_ROPE] = cf_rope,
    [QN_FAMILY_SOFTMAX] = cf_softmax,
    [QN_FAMILY_UNARY] = cf_unary,
    [QN_FAMILY_BINARY] = cf_binary,
    [QN_FAMILY_WHERE] = cf_where,
    [QN_FAMILY_REDUCE] = cf_reduce,
    [QN_FAMILY_COPY] = cf_copy,
    [QN_FAMILY_GATHER] = cf_gather,
    [QN_FAMILY_SCATTER_ROWS] = cf_scatter_rows,
    [QN_FAMILY_IOTA] = cf_iota,
    [QN_FAMILY_TOPK] = cf_topk,
    [QN_FAMILY_ACTIVATION] = cf_activation,
    [QN_FAMILY_MOVE] = cf_move,
    [QN_FAMILY_SCAN] = cf_cumulate,
    [QN_FAMILY_ARG] = cf_arg,
    [QN_FAMILY_CHAIN] = cf_chain,
    [QN_FAMILY_RANDOM] = cf_random_numbers,
    [QN_FAMILY_CONV] = cf_conv,
    [QN_FAMILY_PACK] = cf_pack,
    [QN_FAMILY_GEMM] = cf_gemm,
    [QN_FAMILY_INTEGER_GEMM] = cf_integer_gemm,
    [QN_FAMILY_INTEGER_CONV] = cf_integer_conv,
    [QN_FAMILY_QUANTIZE] = cf_quantize,
    [QN_FAMILY_Q_ADD] = cf_q_add,
    [QN_FAMILY_POOL] = cf_pool,
    [QN_FAMILY_IMAGE] = cf_image,
    [QN_FAMILY_GROUP_NORM] = cf_group_norm,
    [QN_FAMILY_RECURRENT] = cf_recurrent,
    [QN_FAMILY_STATE_SPACE] = cf_state_space,
    [QN_FAMILY_SIGNAL] = cf_signal,
    [QN_FAMILY_TREES] = cf_trees,
};

static bool named(const char *variable, const struct qn_kernel *kernel)
{
    const char *name = getenv(variable);
    return name && strcmp(name, kernel->name) == 0;
}

static void test_every_kernel(void **state)
{
    (void)state;
    uint32_t features;
    qn_assert_ok(qn_cpu_features(&features));
    char text[128];
    printf("machine: %s\n", qn_cpu_features_text(features, text));
    int64_t failures = 0, ran = 0;
    for (uint32_t i = 0; i < qn_kernel_count; i++) {
        struct cf cf = {.kernel = qn_kernels[i], .mutated = named("QN_MUTATE", qn_kernels[i])};
        if (getenv("QN_CONFORMANCE") && !named("QN_CONFORMANCE", cf.kernel))
            continue;
        if (cf.kernel->needs & ~features) {
            printf("skipped %s: this machine, or QUERN_CPU, lacks %s\n", cf.kernel->name,
                   qn_cpu_features_text(cf.kernel->needs & ~features, text));
            continue;
        }
        if (!families[cf.kernel->family])
            fail_msg("%s: no cases for its family", cf.kernel->name);
        cf_seed(cf.kernel->serial);
        families[cf.kernel->family](&cf);
        if (cf.cases == 0)
            fail_msg("%s: no case ran", cf.kernel->name);
        if (cf.failures)
            printf("FAILED %s: %lld of %lld cases\n", cf.kernel->name, (long long)cf.failures, (long long)cf.cases);
        failures += cf.failures;
        ran++;
    }
    if (!getenv("QN_CONFORMANCE"))
        cf_print_table(features);
    if (ran == 0)
        fail_msg("no kernel ran");
    if (failures)
        fail_msg("%lld cases failed", (long long)failures);
}

static void test_every_op(void **state)
{
    (void)state;
    uint32_t features;
    int64_t runs = 0;
    if (getenv("QN_CONFORMANCE"))
        skip();
    qn_assert_ok(qn_cpu_features(&features));
    int64_t failures = cf_graph_ops(features, &runs);
    printf("%lld runs\n", (long long)runs);
    if (failures || runs == 0)
        fail_msg("%lld of %lld runs failed", (long long)failures, (long long)runs);
}

/* One name a line, and what is lacking behind the names of those that this machine cannot run: for tools/mutate. */
static int list(void)
{
    uint32_t features;
    qn_status status = qn_cpu_features(&features);
    if (status) {
        fprintf(stderr, "%s\n", qn_status_message(status));
        qn_status_free(status);
        return 1;
    }
    for (uint32_t i = 0; i < qn_kernel_count; i++) {
        uint32_t lacking = qn_kernels[i]->needs & ~features;
        char text[128];
        printf("%s%s%s\n", qn_kernels[i]->name, lacking ? " " : "", lacking ? qn_cpu_features_text(lacking, text) : "");
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_kernel), cmocka_unit_test(test_every_op)};
    return cmocka_run_group_tests_name("ops_conformance", tests, NULL, NULL);
}
